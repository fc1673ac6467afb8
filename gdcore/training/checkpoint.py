"""A training state as a directory that can be read in parts, written so that a kill at any instant leaves a whole one.

```
generator.safetensors  discriminator.safetensors  objective.safetensors     weights, each readable by itself
optimizers.pt                                                              moments and torch's random state
state.json                                                                 step, data position, what wrappers remember,
                                                                           the other files' digests
config.json                                                                architectures: all that loading needs
```
"""

import json
import logging
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, load_model, save_file, save_model
from torch.optim import Optimizer

from gdcore import plugins, ranks
from gdcore.artifacts import file_digest
from gdcore.batches import BatchStream
from gdcore.contracts import Discriminator, Generator, Objective
from gdcore.durable import synced
from gdcore.errors import UserError

log = logging.getLogger(__name__)
Weights = Any
"""A module, or its tensors by name."""
KEPT = 2
"""Checkpoints that stay in a work directory: the newest, and one more in case the disk lost its last write."""


class Resumable(Protocol):
    """What a checkpoint holds of a training state."""

    optimizers: Mapping[str, Optimizer]
    batches: BatchStream
    step: int
    memory: dict[str, Any]

    def modules(self) -> dict[str, Any]:
        """The parts that have weights, by the name of their file."""
        ...


@dataclass
class TrainState:
    """Everything that a step reads and writes."""

    generator: Generator
    optimizers: Mapping[str, Optimizer]
    batches: BatchStream
    discriminator: Discriminator | None = None
    objective: Objective | None = None
    step: int = 0
    memory: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the wrappers of the loop remember (best score so far, the guard's first reading): JSON values."""

    def modules(self) -> dict[str, Any]:
        """The parts that have weights, by the name of their file."""
        parts = {"generator": self.generator, "discriminator": self.discriminator, "objective": self.objective}
        return {name: module for name, module in parts.items() if module is not None}


def save_state(state: Resumable, work: Path) -> None:
    """Write `work/step-…`; it appears whole or not at all. Older checkpoints beyond `KEPT` go."""
    weights = {name: weights_of(module) for name, module in state.modules().items()}
    optimizers = {name: _whole_moments(optimizer) for name, optimizer in state.optimizers.items()}
    if ranks.leads():
        _write_state(state, work, weights, optimizers)
    ranks.meet()
    ranks.part_ways(state.batches.seed, state.step)


def _write_state(
    state: Resumable, work: Path, weights: Mapping[str, Weights], optimizers: Mapping[str, dict[str, Any]]
) -> None:
    final, draft = work / f"step-{state.step:08d}", work / "step.partial"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, each in weights.items():
        _write_weights(each, draft / f"{name}.safetensors")
    torch.save({"optimizers": optimizers, "rng": torch.get_rng_state()}, draft / "optimizers.pt")
    files = {path.name: file_digest(path) for path in sorted(draft.iterdir())}
    about = {"step": state.step, "batches": state.batches.state_dict(), "memory": state.memory, "files": files}
    (draft / "state.json").write_text(json.dumps(about))
    for path in draft.iterdir():
        synced(path)
    shutil.rmtree(final, ignore_errors=True)
    draft.rename(final)
    synced(work)
    for old in checkpoints(work)[:-KEPT]:
        shutil.rmtree(old)


def load_state(state: Resumable, work: Path) -> bool:
    """Put the newest whole checkpoint of `work` into `state`; False, and nothing changed, where there is none.

    Raises UserError for one that would run code.
    """
    for folder in reversed(checkpoints(work)):
        if (about := _whole(folder)) is not None:
            break
        log.warning("%s is damaged: going on from an older checkpoint", folder)
        shutil.rmtree(folder, ignore_errors=True)
    else:
        ranks.part_ways(state.batches.seed, 0)
        return False
    for name, module in state.modules().items():
        load_weights(module, folder / f"{name}.safetensors")
    saved = _load_numbers(folder / "optimizers.pt")
    for name, optimizer in state.optimizers.items():
        _load_moments(optimizer, saved["optimizers"][name])
    torch.set_rng_state(saved["rng"])
    state.step, state.memory = about["step"], about["memory"]
    state.batches.load_state_dict(about["batches"])
    ranks.part_ways(state.batches.seed, state.step)
    return True


def _load_numbers(path: Path) -> dict[str, Any]:
    """What torch saved, if it is tensors and plain values. Raises UserError for anything else: nothing of it is run."""
    try:
        return torch.load(path, weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{path} holds more than numbers: gdflow did not write it, and nothing of it was run. Remove {path.parent} "
            "and start again: training goes on from the checkpoint before it, or begins anew."
        ) from None


def _whole(folder: Path) -> dict[str, Any] | None:
    """What a checkpoint says of itself, if all its files are as they were written: a disk may lose its last writes."""
    try:
        about = json.loads((folder / "state.json").read_text())
        intact = all(file_digest(folder / name) == digest for name, digest in about["files"].items())
    except (OSError, ValueError, KeyError):
        return None
    return about if intact else None


def checkpoints(work: Path) -> list[Path]:
    """The checkpoints of a work directory, oldest first."""
    return sorted(work.glob("step-*"))


def weights_of(module: Any) -> Weights:
    """What is written of a module: itself; or, where each process holds a part, its tensors, put together."""
    if not ranks.sharded(module):
        return module
    found: dict[int, tuple[str, torch.Tensor]] = {}  # a matrix that serves twice has two names, and is written once
    for name, parameter in module.state_dict(keep_vars=True).items():
        found.setdefault(id(parameter), (name, parameter))
    return {name: ranks.whole(parameter.detach()).cpu().contiguous() for name, parameter in found.values()}


def save_weights(module: Any, path: Path) -> None:
    """Replace `path` by the module's weights, atomically."""
    _replace(weights_of(module), path)


def keep_weights(module: Any, path: Path) -> None:
    """The same where several processes train: the leading one writes, and all may read afterwards."""
    weights = weights_of(module)
    if ranks.leads():
        _replace(weights, path)
    ranks.meet()


def _replace(weights: Weights, path: Path) -> None:
    draft = path.with_suffix(".partial")
    _write_weights(weights, draft)
    synced(draft)
    draft.replace(path)


def _write_weights(weights: Weights, path: Path) -> None:
    if isinstance(weights, dict):
        save_file(weights, path)
    else:
        save_model(weights, str(path))


def load_weights(module: Any, path: Path) -> None:
    if not ranks.sharded(module):
        load_model(module, str(path))
        return
    own = module.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, value in load_file(path).items():
            ranks.put(value, own[name])


def _whole_moments(optimizer: Optimizer) -> dict[str, Any]:
    """An optimiser's state as it would be of whole weights."""
    told = optimizer.state_dict()
    state = {
        number: {name: ranks.whole(value) if torch.is_tensor(value) else value for name, value in moments.items()}
        for number, moments in told["state"].items()
    }
    return told | {"state": state}


def _load_moments(optimizer: Optimizer, told: dict[str, Any]) -> None:
    optimizer.load_state_dict(told)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, parameter in enumerate(parameters):
        for name, value in told["state"].get(number, {}).items():
            if torch.is_tensor(value) and value.dim() and ranks.is_part(parameter):
                own = torch.zeros_like(parameter)
                ranks.put(value, own)
                optimizer.state[parameter][name] = own


def inherit_weights(module: Any, path: Path) -> None:
    """Take the weights of the same network over a vocabulary that has grown since: new tokens keep their fresh rows."""
    own = module.state_dict()
    for name, old in load_file(path).items():
        own[name][: len(old)].copy_(old) if old.dim() else own[name].copy_(old)


def load_generator(directory: Path) -> Generator:
    """The generator of a pretraining or finetuning artifact, in evaluation mode."""
    about = read_about(directory)
    generator = build_generator(plugin_config("generators", about["generator"]), about["vocab_size"], about["context"])
    load_model(generator, str(directory / "generator.safetensors"))  # pyright: ignore[reportArgumentType]
    return generator.eval()


def load_discriminator(directory: Path) -> Discriminator:
    """The discriminator of a finetuning artifact, in evaluation mode."""
    about = read_about(directory)
    discriminator = build_discriminator(plugin_config("discriminators", about["discriminator"]), about["vocab_size"])
    load_model(discriminator, str(directory / "discriminator.safetensors"))  # pyright: ignore[reportArgumentType]
    return discriminator.eval()


def plugin_config(kind: str, values: dict[str, Any]) -> Any:
    """The Config value that `values` (with its `name`) describes."""
    return plugins.load(kind, values["name"]).Config.model_validate(values)


def build_generator(config: Any, vocab_size: int, context: int) -> Generator:
    return plugins.load("generators", config.name).Generator(config, vocab_size, context)


def build_discriminator(config: Any, vocab_size: int, num_classes: int = 1) -> Discriminator:
    """A judge of real and fake, or a classifier of so many classes."""
    return plugins.load("discriminators", config.name).Discriminator(config, vocab_size, num_classes)


def read_about(directory: Path) -> dict[str, Any]:
    """What weights are weights of. Raises UserError for a folder that holds no trained model."""
    path = directory / "config.json"
    if not path.is_file():
        raise UserError(f"{directory} is no checkpoint: it has no config.json. Give the folder of a trained model.")
    return json.loads(path.read_text())
