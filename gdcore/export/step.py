"""One step of a generator as a graph, whatever its architecture: its `step` is traced, its state handed on as it is.

Shapes: B texts, V vocabulary.
"""

import torch
from torch import Tensor, nn

from gdcore.contracts import Generator
from gdcore.export.builder import FLOAT, Graph, Typed
from gdcore.export.tracing import Axes, trace


class Step:
    """Lays a generator's `step` into graphs."""

    def __init__(self, generator: Generator, opset: int) -> None:
        self.vocab_size, self.context = generator.vocab_size, generator.context
        self._empty = [tensor.numpy() for tensor in generator.initial_state(1)]
        token_B = torch.zeros(2, dtype=torch.long)
        self._model = trace(_Flat(generator), [(token_B, {0: "batch"}), *_states(generator, token_B)], opset)

    def initial_state(self, g: Graph, batch_1: str) -> list[Typed]:
        """The state of B texts of which nothing has been read; `batch_1` holds B."""
        shapes = [g.Concat([empty.shape[0]], batch_1, list(empty.shape[2:]), axis=0) for empty in self._empty]
        return [(g.Expand(empty, shape), FLOAT) for empty, shape in zip(self._empty, shapes, strict=True)]

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
