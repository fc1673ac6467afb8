"""Rows of ids, of all lengths, as the graphs want them.

Shapes: B texts of a batch, T tokens.
"""

from collections.abc import Callable, Sequence

import numpy as np

from gdcore.serving.runtime import Array
from gdcore.tokenizer import PAD

BATCH_SIZE = 128


def padded(rows: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    """Ids (B, T), padded on the right, and lengths (B)."""
    lengths_B = np.array([len(row) for row in rows])
    tokens_BT = np.full((len(rows), lengths_B.max()), PAD)
    for tokens_T, row in zip(tokens_BT, rows, strict=True):
        tokens_T[: len(row)] = row
    return tokens_BT, lengths_B


def by_length(rows: list[list[int]], given: list[int], measure: Callable[[Array, Array, Array], Array]) -> Array:
    """`measure(tokens_BT, lengths_B, given_B)` of all rows (B, …), in batches of like length."""
    if not rows:
        return np.empty(0)
    parts: list[Array] = []
    order = np.argsort([len(row) for row in rows], kind="stable")
    for start in range(0, len(rows), BATCH_SIZE):
        chosen_B: list[int] = order[start : start + BATCH_SIZE].tolist()
        tokens_BT, lengths_B = padded([rows[i] for i in chosen_B])
        parts.append(measure(tokens_BT, lengths_B, np.array([given[i] for i in chosen_B])))
    return np.concatenate(parts)[np.argsort(order)]
