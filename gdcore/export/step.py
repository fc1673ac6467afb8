"""One step of a generator as a graph, whatever its architecture: its `step` is traced, its state handed on as it is.

Shapes: B texts, V vocabulary.
"""

import copy

import torch
from torch import Tensor, nn

from gdcore.batches import make_batch
from gdcore.contracts import Generator
from gdcore.export.builder import FLOAT, Graph, Typed
from gdcore.export.int8 import quantised
from gdcore.export.tracing import Axes, trace
from gdcore.networks import latent


class Step:
    """Lays a generator's `step` into graphs."""

    def __init__(self, generator: Generator, opset: int) -> None:
        self.vocab_size, self.context = generator.vocab_size, generator.context
        self._empty = [tensor.numpy() for tensor in generator.initial_state(1)]
        token_B = torch.zeros(2, dtype=torch.long)
        self._model = trace(_Flat(generator), [(token_B, {0: "batch"}), *_states(generator, token_B)], opset)

        self.noise_dim = latent.noise_dim(generator)
        if self.noise_dim:
            tokens_BT, axes = torch.zeros(2, 7, dtype=torch.long), {0: "batch", 1: "time"}
            self._inferred = trace(_Inferred(generator), [(tokens_BT, axes), (tokens_BT == 0, axes)], opset)

    def in_int8(self) -> "Step":
        """The same step with weights of eight bits; a posterior over noise stays as it is. Raises NotQuantised."""
        twin = copy.copy(self)
        twin._model = quantised(self._model)
        return twin

    @property
    def shapes(self) -> list[list[str | int]]:
        """Of each tensor of the state its shape, as a graph declares it; the axes named `read_…` grow by 1 a step."""
        return [
            ["batch" if axis == 1 else size or f"read_{i}" for axis, size in enumerate(empty.shape)]
            for i, empty in enumerate(self._empty)
        ]

    def inferred(self, g: Graph, tokens_BT: str, mask_BT: str) -> list[str]:
        """Of a generator with latent variables: texts' noise (B, Z), and its divergence from the prior (B), in nats."""
        return g.inline(self._inferred, [tokens_BT, mask_BT])

    def initial_state(self, g: Graph, batch_1: str, noise_BZ: str | None = None) -> list[Typed]:
        """The state of B texts of which nothing has been read; `batch_1` holds B. The noise goes in last."""
        shapes = [g.Concat([empty.shape[0]], batch_1, list(empty.shape[2:]), axis=0) for empty in self._empty]
        state: list[Typed] = [(g.Expand(empty, shape), FLOAT) for empty, shape in zip(self._empty, shapes, strict=True)]
        if noise_BZ:
            state[-1] = g.Unsqueeze(noise_BZ, [0]), FLOAT
        return state

    def __call__(self, g: Graph, token_B: str, *state: str) -> tuple[str, list[str]]:
        """Read one token a text: logits (B, V) of the next, and the state after it."""
        logits_BV, *after = g.inline(self._model, [token_B, *state])
        return logits_BV, after


@torch.no_grad()
def _states(generator: Generator, token_B: Tensor) -> list[tuple[Tensor, Axes]]:
    """A state to trace with, and the axes along which its tensors vary: the texts, and where a step makes them grow.

    Three tokens have been read: no axis that grows is of length 0 or 1, which torch would take for fixed.
    """
    state = empty = generator.initial_state(len(token_B))
    for _ in range(3):
        _, state = generator.step(token_B, state)
    return [
        (after, {1: "batch"} | {axis: "read" for axis, size in enumerate(before.shape) if after.shape[axis] != size})
        for before, after in zip(empty, state, strict=True)
    ]


class _Flat(nn.Module):
    """A generator's step with its state as plain arguments and results."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, token_B: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits_BV, after = self.generator.step(token_B, state)
        return logits_BV.float(), *after


class _Inferred(nn.Module):
    """One draw from the posterior, the same for every text, and the divergence."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        lengths_B = mask_BT.sum(dim=1)
        noise_BZ, divergence_BZ = latent.inferred(self.generator, make_batch(tokens_BT, lengths_B, lengths_B))
        return noise_BZ, divergence_BZ.sum(dim=1)
