"""Distinct-n: how many of the n-grams in a fixed number of tokens are different ones (Li et al. 2016).

The longer the text, the more n-grams recur, so the ratio is taken on a fixed budget of tokens, never on all there are.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evidence import Evidence
from gdcore.intervals import Measurement, SetFigure
from gdcore.ngram_counts import Ints
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
    needed = config.budget / max(1.0, lengths_N.mean())
    # Four standard deviations more texts than the budget holds on average: a draw of short ones is enough as well.
    needed += 4 * lengths_N.std() / max(1.0, lengths_N.mean()) * needed**0.5
    size = num_texts if lengths_N.sum() <= config.budget else min(num_texts, round(needed))

    def measure_of(order: int) -> Callable[[Ints], float]:
        postings = evidence.sample_postings(order)
        totals_N = np.maximum(0, lengths_N - order + 1)

        def measure(rows: Ints) -> float:
            within = rows[: max(1, int(np.searchsorted(lengths_N[rows].cumsum(), config.budget, side="right")))]
            chosen_N = np.zeros(num_texts, np.bool_)
            chosen_N[within] = True
            return len(postings.of(chosen_N).starts) / max(1, int(totals_N[within].sum()))

        return measure

    return {f"distinct_{order}": SetFigure(measure_of(order), num_texts, size) for order in config.orders}
