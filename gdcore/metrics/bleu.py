"""BLEU: how much of a sample's wording occurs in real text (Papineni et al. 2002), averaged over samples.

Each sample against all references at once, as NLTK's `sentence_bleu` with smoothing method 1, to the last bit. It
measures local quality alone: a generator that repeats one good text scores well, and an over-fitted one better still.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Mean, Measurement
from gdcore.evaluation.ngram_counts import bleu, closest_lengths, matches
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["bleu"] = "bleu"
    orders: tuple[int, ...] = (2, 3, 4, 5)
    """Longest n-gram of each figure; `bleu_n` weighs orders 1 to n alike."""
    smoothing: Literal["method1"] = "method1"
    """What stands in for no match at all: method 1 of Chen and Cherry (2014) counts 0.1 of a match."""
    size: int | None = Field(default=None, ge=1)
    """Samples that are scored, the first ones: some published figures rest on few. None: all."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`bleu_n` for each order; an empty sample scores 0."""
    num_texts, orders = len(evidence.samples), range(1, max(config.orders) + 1)
    lengths_N = evidence.sample_lengths
    scores_NB = bleu(
        np.stack([matches(evidence.sample_postings(n), evidence.reference_postings(n), num_texts) for n in orders], 1),
        np.stack([np.maximum(0, lengths_N - n + 1) for n in orders], 1),
        lengths_N,
        closest_lengths(lengths_N, evidence.reference_lengths),
        config.orders,
    )
    scored_NB = scores_NB[: config.size]
    return {f"bleu_{order}": Mean(scored_NB[:, column]) for column, order in enumerate(config.orders)}
