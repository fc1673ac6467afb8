"""Which side of the split a text falls on, and whether it was seen before: both by digests, never by position.

A text's side is a function of its group and the seed alone, so that no text changes side as a corpus grows.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "valid", "test")

Digests = NDArray[np.uint64]


def digest(texts: Sequence[str], seed: int) -> Digests:
    """64 bits per text, the same on every machine and in every version (two of 10 million collide once in 370,000)."""
    key = seed.to_bytes(16, "little")
    return np.frombuffer(
        b"".join(blake2b(text.encode(), digest_size=8, key=key).digest() for text in texts), dtype="<u8"
    ).astype(np.uint64)


def side(groups: Digests, valid_fraction: float, test_fraction: float) -> NDArray[np.uint8]:
    """Index into SPLITS per group: the lowest digests are test, the next valid, the rest train."""
    share = groups / 2.0**64
    return np.where(share < test_fraction, 2, np.where(share < test_fraction + valid_fraction, 1, 0)).astype(np.uint8)


class Seen:
    """A set of digests that takes 8 bytes each: sorted runs, merged as they grow to the same size."""

    def __init__(self) -> None:
        self.runs: list[Digests] = []

    def __contains__(self, value: int) -> bool:
        return bool(self.holds(np.array([value], dtype=np.uint64))[0])

    def holds(self, digests: Digests) -> NDArray[np.bool_]:
        """Which of the digests are in the set."""
        found = np.zeros(len(digests), dtype=bool)
        for run in self.runs:
            place = np.minimum(np.searchsorted(run, digests), len(run) - 1)
            found |= run[place] == digests
        return found

    def add(self, digests: Digests) -> NDArray[np.bool_]:
        """Put them in; which of them are new (the first of equal ones is)."""
        unique, first = np.unique(digests, return_index=True)
        fresh = ~self.holds(unique)
        new = np.zeros(len(digests), dtype=bool)
        new[first[fresh]] = True
        if fresh.any():
            self.runs.append(unique[fresh])
        while len(self.runs) > 1 and len(self.runs[-1]) * 2 > len(self.runs[-2]):
            merged = np.concatenate(self.runs[-2:])
            del self.runs[-2:]  # before sorting, which takes half as much again
            merged.sort(kind="stable")
            self.runs.append(merged)
        return new
