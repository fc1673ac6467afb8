"""Self-BLEU: how much of a sample's wording occurs in the other samples (Zhu et al. 2018); low is diverse.

Leave one out: a sample is never among its own references, which would make every score 1. The more samples, the more
wording recurs, so the figure means nothing without the number of texts it was taken on.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, SetFigure, columns
from gdcore.evaluation.ngram_counts import Floats, Ints, bleu, closest_lengths_among_others, matches_among_others
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["self_bleu"] = "self_bleu"
    orders: tuple[int, ...] = (2, 3, 4, 5)
    """Longest n-gram of each figure."""
    smoothing: Literal["method1"] = "method1"
    """As in BLEU."""
    size: int | None = Field(default=None, ge=2)
    """Texts that are compared with one another; the figure is the average over draws of so many. None: all."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`self_bleu_n` for each order. Of a single text there are no others: it scores 0."""
    num_texts, lengths_N = len(evidence.samples), evidence.sample_lengths
    postings = [evidence.sample_postings(n).shared() for n in range(1, max(config.orders) + 1)]

    def averages(rows: Ints) -> Floats:
        chosen_N = np.zeros(num_texts, np.bool_)
        chosen_N[rows] = True
        matched = [matches_among_others(posting.of(chosen_N), num_texts)[chosen_N] for posting in postings]
        lengths = lengths_N[chosen_N]
        totals = [np.maximum(0, lengths - n) for n in range(len(postings))]
        closest = closest_lengths_among_others(lengths)
        exact = len(rows) == num_texts  # a draw of some only tells the spread
        return bleu(np.stack(matched, 1), np.stack(totals, 1), lengths, closest, config.orders, exact=exact).mean(0)

    measures = columns(averages, len(config.orders))
    size = config.size or num_texts
    return {
        f"self_bleu_{order}": SetFigure(measure, num_texts, size)
        for order, measure in zip(config.orders, measures, strict=True)
    }
