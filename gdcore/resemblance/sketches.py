"""Texts as sketches, and sketches as keys: texts that share a key may be alike, others hardly can.

A sketch is a MinHash (A. Broder, «On the resemblance and containment of documents», 1997): two sketches agree in a slot
with a probability that is the Jaccard similarity of the two sets. It is made by the package rensa, after Dahlgaard,
Knudsen and Thorup, «Fast similarity sketching», 2017. Slots are put together in bands (locality-sensitive hashing;
Leskovec, Rajaraman and Ullman, «Mining of massive datasets», section 3.4); a band's slots are one key.

Shapes: N texts, P slots, B bands, W slots a band.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import chain, pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore.errors import UserError
from gdcore.resemblance.gists import MULTIPLIER, Hashes, hashed, mixed, sides

ALGORITHM_VERSION = 2
"""Of rensa's; another would find other candidates, so that the same corpus would give another result."""
SLOTS = 128
SEED = 1
MOST_MISSED = 0.01
"""Share of the pairs at the threshold itself that may have no key in common; of pairs above it, it is fewer."""
BLOCK_CHARACTERS = 1 << 20
"""Characters whose shingles are hashed at one time: some 60 MB."""
PROMPT = np.uint64(0xD1B54A32D192ED03)
"""Makes a prompt's shingles other than a text's."""


def sketcher() -> Any:
    """The package's MinHash. Raises UserError where it is missing, or is one whose sketches were made otherwise."""
    try:
        rensa = import_module("rensa")
    except ImportError:
        raise UserError("validation.similarity needs rensa: pip install 'gdflow[minhash]'") from None
    version = getattr(rensa.RMinHash, "ALGORITHM_VERSION", 1)
    if version != ALGORITHM_VERSION:
        raise UserError(
            f"validation.similarity: rensa makes its sketches by version {version} of its algorithm, expected "
            f"{ALGORITHM_VERSION}: pip install 'gdflow[minhash]'"
        )
    return rensa.RMinHash


def banding(similarity: float) -> tuple[int, int]:
    """Bands, and slots a band: as many slots as miss no more than MOST_MISSED of the pairs that are just so alike."""
    for width in range(SLOTS, 1, -1):
        if (1 - similarity**width) ** (SLOTS // width) <= MOST_MISSED:
            return SLOTS // width, width
    return SLOTS, 1


def blocks(gists: pl.Series, characters: int = BLOCK_CHARACTERS) -> Iterator[list[str]]:
    """Gists, about so many characters at a time."""
    ends = np.cumsum(gists.str.len_chars().to_numpy() + 1) // characters
    starts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(gists)]
    for start, end in pairwise(starts):
        yield gists[start:end].to_list()


def keys(gists: Sequence[str], similarity: float) -> Hashes:
    """The keys of some texts `(N, B)`; the same on every machine, whatever other texts there are."""
    bands, width = banding(similarity)
    keys_NB = np.zeros((len(gists), bands), np.uint64)
    if gists:
        slots_NBW = sketch(gists)[:, : bands * width].reshape(len(gists), bands, width)
        for slot in range(width):
            keys_NB = mixed(keys_NB * MULTIPLIER + slots_NBW[..., slot])
    return keys_NB


def sketch(gists: Sequence[str]) -> NDArray[np.uint32]:
    """MinHashes `(N, P)`."""
    hashes, starts = hashed([side for gist in gists for side in sides(gist)])
    prompts = np.repeat(np.arange(len(starts) - 1) % 2 == 0, np.diff(starts))
    hashes[prompts] ^= PROMPT
    matrix = sketcher().digest_matrix_from_flat_token_hashes(hashes, starts[::2].astype(np.uint64), SLOTS, SEED)
    slots = np.fromiter(chain.from_iterable(matrix.to_rows()), np.uint32, len(gists) * SLOTS)
    return slots.reshape(len(gists), SLOTS)
