"""Which side of the split a text falls on: by its digest, never by its position.

A text's side is a function of its group and the seed alone, so that no text changes side as a corpus grows.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from gdcore.corpora.seen import Digests

SPLITS = ("train", "valid", "test")


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
