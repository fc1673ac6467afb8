"""Texts that cost what image captions cost: as long, with as many different words, as unevenly distributed.

COCO's captions in the classic benchmark have 11 words on average, at most 37, of 4,657 different ones. Speed depends on
that alone; so nobody need have them.
"""

import numpy as np

from gdcore.shards import Shards
from gdcore.tokenizer import SPECIALS

NUM_WORDS = 4_656
VOCAB_SIZE = len(SPECIALS) + NUM_WORDS
LONGEST = 37
CONTEXT = LONGEST + 2
"""BOS and EOS included."""
MEAN_LENGTH = 11.3


def captions(number: int = 10_000, seed: int = 0) -> Shards:
    """Token ids of so many texts, their lengths as captions': most near the mean, few up to the longest."""
    rng = np.random.default_rng(seed)
    lengths_N = np.clip(np.round(rng.gamma(12, MEAN_LENGTH / 12, number)), 5, LONGEST).astype(np.int64)
    mass = 1 / np.arange(1, NUM_WORDS + 1)
    ids = len(SPECIALS) + rng.choice(NUM_WORDS, int(lengths_N.sum()), p=mass / mass.sum())
    return Shards.of([row.tolist() for row in np.split(ids, np.cumsum(lengths_N)[:-1])])


def padded(shards: Shards) -> np.ndarray:
    """The same texts as a table `(N, LONGEST)`, 0 behind their ends."""
    table = np.zeros((len(shards), LONGEST), np.int64)
    for i in range(len(shards)):
        row = shards.row(i)[1]
        table[i, : len(row)] = row
    return table
