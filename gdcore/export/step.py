"""One step of a generator as a graph, whatever its architecture: its `step` is traced, its state handed on as it is.

Shapes: B texts, V vocabulary.
"""

import torch
from torch import Tensor, nn

from gdcore.contracts import Generator
from gdcore.export.builder import FLOAT, Graph, Typed
from gdcore.export.tracing import trace


class Step:
    """Lays a generator's `step` into graphs."""

    def __init__(self, generator: Generator, opset: int) -> None:
        self.vocab_size, self.context = generator.vocab_size, generator.context
        self._empty = [tensor.numpy() for tensor in generator.initial_state(1)]
        self.state_ranks = [empty.ndim for empty in self._empty]
        state = [(tensor, {1: "batch"}) for tensor in generator.initial_state(2)]
        self._model = trace(_Flat(generator), [(torch.zeros(2, dtype=torch.long), {0: "batch"}), *state], opset)

    def initial_state(self, g: Graph, batch_1: str) -> list[Typed]:
        """The state of B texts of which nothing has been read; `batch_1` holds B."""
        shapes = [g.Concat([empty.shape[0]], batch_1, list(empty.shape[2:]), axis=0) for empty in self._empty]
        return [(g.Expand(empty, shape), FLOAT) for empty, shape in zip(self._empty, shapes, strict=True)]

    def __call__(self, g: Graph, token_B: str, *state: str) -> tuple[str, list[str]]:
        """Read one token a text: logits (B, V) of the next, and the state after it."""
        logits_BV, *after = g.inline(self._model, [token_B, *state])
        return logits_BV, after


class _Flat(nn.Module):
    """A generator's step with its state as plain arguments and results."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, token_B: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits_BV, after = self.generator.step(token_B, state)
        return logits_BV.float(), *after
