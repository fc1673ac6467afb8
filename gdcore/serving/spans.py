"""Where a text looks generated, by a discriminator that judges every token.

Shapes: B texts, T tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gdcore.serving.rows import BATCH_SIZE, padded
from gdcore.serving.runtime import Array, Graph
from gdcore.tokenizer import Tokenizer


class Span(NamedTuple):
    """A part of a text, `text[start:end]`."""

    start: int
    end: int
    fake: float
    """How probably its tokens are fake, on average."""


def token_probabilities(judge: Graph, rows: Sequence[Sequence[int]]) -> list[Array]:
    """How probably each token of each row is real."""
    found: list[Array] = []
    for start in range(0, len(rows), BATCH_SIZE):
        tokens_BT, lengths_B = padded(rows[start : start + BATCH_SIZE])
        (real_BT,) = judge(["token_probabilities"], tokens=tokens_BT, lengths=lengths_B)
        found += [real_T[:length] for real_T, length in zip(real_BT, lengths_B, strict=True)]
    return found


def found(tokenizer: Tokenizer, text: str, real_T: Array, least: float) -> list[Span]:
    """The runs of a text's tokens that are fake with probability `least` or more; spaces around a run are not in it."""
    offsets = tokenizer.offsets(text)
    found: list[Span] = []
    run: list[int] = []
    for i in range(len(offsets) + 1):
        if i < len(offsets) and 1 - real_T[i] >= least:
            run.append(i)
        elif run:
            start, end = offsets[run[0]][0], offsets[run[-1]][1]
            start += len(text[start:end]) - len(text[start:end].lstrip())
            if start < end:
                found.append(Span(start, end, float(np.mean(1 - real_T[run]))))
            run = []
    return found
