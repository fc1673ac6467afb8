"""Distinct-n: how many of the n-grams in a fixed number of tokens are different ones (Li et al. 2016).

The longer the text, the more n-grams recur, so the ratio is taken on a fixed budget of tokens, never on all there are.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, SetFigure
from gdcore.evaluation.ngram_counts import Ints
from gdcore.evaluation.token_budget import enough, within
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["distinct"] = "distinct"
    orders: tuple[int, ...] = (1, 2, 3, 4)
    """Lengths of the n-grams counted."""
    budget: int = Field(default=20_000, ge=1)
    """Tokens; whole texts are taken, in random order, until the next would exceed it."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`distinct_n` for each order; 0 where no text is n tokens long."""
    lengths_N = evidence.sample_lengths
    num_texts = len(lengths_N)
    size = enough(lengths_N, config.budget)

    def measure_of(order: int) -> Callable[[Ints], float]:
        postings = evidence.sample_postings(order)
        totals_N = np.maximum(0, lengths_N - order + 1)

        def measure(rows: Ints) -> float:
            chosen = within(rows, lengths_N, config.budget)
            chosen_N = np.zeros(num_texts, np.bool_)
            chosen_N[chosen] = True
            return len(postings.of(chosen_N).starts) / max(1, int(totals_N[chosen].sum()))

        return measure

    return {f"distinct_{order}": SetFigure(measure_of(order), num_texts, size) for order in config.orders}
