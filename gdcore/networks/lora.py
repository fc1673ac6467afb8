"""Low-rank adapters: what a pretrained model learns, beside weights that stay as they are.

Hu et al. 2021, «LoRA: Low-rank adaptation of large language models» (arXiv 2106.09685), §4.1: a matrix W becomes
W + (α/r)·B·A, A and B of rank r; A begins random and B at zero, so that training begins at the model itself. Departure:
no dropout of its own before A.

What is frozen is kept as buffers that no state holds: optimisers, checkpoints and snapshots see the adapters alone, and
a copy of the model shares its base.

Shapes: I features in, O features out, R rank.
"""

import copy
from typing import Any, Literal, TypeVar, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.settings import Settings

Target = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TARGETS: tuple[Target, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
M = TypeVar("M")


class Config(Settings):
    """Which matrices learn, and how much."""

    rank: int = Field(default=8, ge=1)
    """Rank of what is added to a matrix."""
    alpha: float = Field(default=16.0, gt=0)
    """What is added counts α / rank times."""
    targets: tuple[Target, ...] = Field(default=TARGETS, min_length=1)
    """The matrices of each block that get adapters, by Llama's names."""


class Adapted(nn.Module):
    """A frozen linear layer and its adapter."""

    weight: Tensor
    rounded: Tensor | None
    """The weights in the precision of the products, once these have been computed in another."""

    def __init__(self, linear: nn.Linear, config: Config) -> None:
        super().__init__()
        self.register_buffer("weight", linear.weight.detach(), persistent=False)
        self.register_buffer("rounded", None, persistent=False)
        self.scale = config.alpha / config.rank
        self.a_RI = nn.Parameter(torch.empty(config.rank, linear.in_features))
        self.b_OR = nn.Parameter(torch.zeros(linear.out_features, config.rank))
        nn.init.normal_(self.a_RI, std=linear.in_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        added = nn.functional.linear(nn.functional.linear(x, self.a_RI), self.b_OR)
        return nn.functional.linear(x, self._weight(x.device.type)) + self.scale * added

    def _weight(self, device: str) -> Tensor:
        """What autocast would round at each call, and keeps for weights that learn alone: a third of a step's time."""
        if not torch.is_autocast_enabled(device):
            return self.weight
        if self.rounded is None:
            self.rounded = self.weight.to(torch.get_autocast_dtype(device))
        return self.rounded

    def merged(self) -> nn.Linear:
        """One matrix again."""
        rows, columns = self.weight.shape
        linear = nn.Linear(columns, rows, bias=False, device="meta")
        linear.weight = nn.Parameter(self.weight + self.scale * self.b_OR.detach() @ self.a_RI.detach())
        return linear


def adapt(model: nn.Module, config: Config) -> None:
    """Give the targets adapters, and freeze everything else."""
    for _, parent, name, child in _children(model):
        if name in config.targets and isinstance(child, nn.Linear):
            setattr(parent, name, Adapted(child, config))
    for module in model.modules():
        if isinstance(module, Adapted):
            continue
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent=False)


def merged(model: M) -> M:
    """The same model with its adapters merged into the weights, all of which are parameters again; `model` itself, if
    it has none. What it started from is forgotten: it stands alone.
    """
    if not any(isinstance(module, Adapted) for module in cast(nn.Module, model).modules()):
        return model
    whole: Any = shared_copy(model)
    for _, parent, name, child in _children(whole):
        if isinstance(child, Adapted):
            setattr(parent, name, child.merged())
    for module in whole.modules():
        for name in _frozen(module):
            weight = getattr(module, name)
            delattr(module, name)
            module.register_parameter(name, nn.Parameter(weight, requires_grad=False))
    whole.config = whole.config.model_copy(update={"start": None, "adapters": None, "digest": ""})
    return whole


def shared_copy(model: M) -> M:
    """A copy with weights of its own that shares what is frozen, which is the bulk of a model with adapters."""
    frozen = (getattr(module, name) for module in cast(nn.Module, model).modules() for name in _frozen(module))
    return copy.deepcopy(model, {id(tensor): tensor for tensor in frozen})


def _frozen(module: nn.Module) -> list[str]:
    """The buffers that no state holds."""
    kept = module.state_dict(keep_vars=True)
    return [name for name, _ in module.named_buffers(recurse=False) if name not in kept]


def _children(model: nn.Module) -> list[tuple[str, nn.Module, str, nn.Module]]:
    """Every module below, with its full name, its parent, and its name there."""
    return [
        (path, model.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2], module)
        for path, module in model.named_modules()
        if path
    ]
