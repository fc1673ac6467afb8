"""Entropy of words and word pairs, in nats: how evenly the samples use what they use.

Of the frequencies as counted, which miss more of the rare words the less text there is: on a fixed budget of tokens,
never on all there are. Neither high nor low is good; real text's own is the mark.
"""

from collections.abc import Callable
from math import log
from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Rows, SetFigure
from gdcore.evaluation.token_budget import enough, within
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["entropy"] = "entropy"
    orders: tuple[int, ...] = (1, 2)
    """Lengths of the n-grams whose frequencies are taken."""
    budget: int = Field(default=20_000, ge=1)
    """Tokens; whole texts are taken, in random order, until the next would exceed it."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`entropy_n` for each order: −Σ p ln p; 0 where no text is n tokens long."""
    lengths_N = evidence.sample_lengths
    num_texts = len(lengths_N)

    def measure_of(order: int) -> Callable[[Rows], float]:
        postings = evidence.sample_postings(order)

        def measure(rows: Rows) -> float:
            chosen_N = np.zeros(num_texts, np.bool_)
            chosen_N[within(rows, lengths_N, config.budget)] = True
            chosen = postings.of(chosen_N)
            if not len(chosen.gram_P):
                return 0.0
            counts_G = np.add.reduceat(chosen.count_P, chosen.starts)
            return float(np.log(counts_G.sum()) - (counts_G * np.log(counts_G)).sum() / counts_G.sum())

        return measure

    # Even where no n-gram occurs twice, there are no more of them than tokens.
    most = log(max(1, min(config.budget, int(lengths_N.sum()))))
    size = enough(lengths_N, config.budget)
    return {
        f"entropy_{order}": SetFigure(measure_of(order), num_texts, size, limits=(0.0, most)) for order in config.orders
    }
