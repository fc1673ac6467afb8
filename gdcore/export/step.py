"""One step of a generator as a graph, whatever its architecture: its `step` is traced, its state handed on as it is.

Shapes: B texts, V vocabulary.
"""

import numpy as np
import torch
from torch import Tensor, nn

from gdcore.contracts import Generator
from gdcore.export.builder import FLOAT, Graph, Typed
from gdcore.export.tracing import trace


class Step:
    """Lays a generator's `step` into graphs."""

    def __init__(self, generator: Generator, opset: int) -> None:
        self.generator, self.opset = generator, opset
        self.vocab_size, self.context = generator.vocab_size, generator.context

    def initial_state(self, g: Graph, batch_1: str) -> list[Typed]:
        """The state of B texts of which nothing has been read; `batch_1` holds B."""
        state = []
        for tensor in self.generator.initial_state(1):
            shape = g.Concat([tensor.shape[0]], batch_1, list(tensor.shape[2:]), axis=0)
            state.append((g.Expand(tensor.numpy(), shape), FLOAT))
        return state

    def __call__(self, g: Graph, token_B: str, *state: str) -> tuple[str, list[str]]:
        """Read one token a text: logits (B, V) of the next, and the state after it."""
        example = self.generator.initial_state(2)
        axes = [{0: "batch"}, *({1: "batch"} for _ in example)]
        tokens = torch.zeros(2, dtype=torch.long)
        examples = list(zip((tokens, *example), axes, strict=True))
        logits_BV, *after = trace(g, _Flat(self.generator), [token_B, *state], examples, self.opset)
        return logits_BV, after


class _Flat(nn.Module):
    """A generator's step with its state as plain arguments and results."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, token_B: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        logits_BV, after = self.generator.step(token_B, state)
        return logits_BV.float(), *after
