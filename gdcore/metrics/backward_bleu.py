"""Backward BLEU: how much of real text's wording occurs in the samples (Shi et al. 2018): recall, as BLEU is precision.

Each reference is scored against a fixed number of samples at once: the more samples, the more wording they hold. One
good text, repeated, scores well on BLEU and nothing here.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.crossed import crossed
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio, Rows, Sampling
from gdcore.evaluation.ngram_counts import Floats, Postings, bleu, closest_lengths, matches
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["backward_bleu"] = "backward_bleu"
    orders: tuple[int, ...] = (2, 3, 4, 5)
    """Longest n-gram of each figure."""
    smoothing: Literal["method1"] = "method1"
    """As in BLEU."""
    size: int | None = Field(default=None, ge=1)
    """Samples that each reference is held against, drawn without repetition. None: all."""
    draws: int = Field(default=20, ge=2)
    """Sets of samples; the figure is their average, and their spread is in the interval."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`backward_bleu_n` for each order; the interval covers the draw of samples and that of references."""
    num_samples, lengths_R = len(evidence.samples), evidence.reference_lengths
    num_references, orders = len(lengths_R), range(1, max(config.orders) + 1)
    sides = [_that_meet(evidence.sample_postings(n), evidence.reference_postings(n), num_samples) for n in orders]
    totals_RO = np.stack([np.maximum(0, lengths_R - n + 1) for n in orders], 1)
    known: dict[bytes, Floats] = {}

    def scores(rows: Rows) -> Floats:
        if (key := rows.tobytes()) not in known:
            chosen_N = np.zeros(num_samples, np.bool_)
            chosen_N[rows] = True
            matched = [matches(real, drawn.of(chosen_N), num_references) for drawn, real in sides]
            closest_R = closest_lengths(lengths_R, evidence.sample_lengths[rows])
            known[key] = bleu(np.stack(matched, 1), totals_RO, lengths_R, closest_R, config.orders, exact=False)
        return known[key]

    def figure_of(column: int) -> Measurement:
        def measure(rows: Rows) -> Ratio:
            return Ratio(scores(rows)[:, column], np.ones(num_references))

        sampling = Sampling(evidence.seed, subsamples=config.draws)
        return crossed(measure, num_samples, config.size, sampling, (0.0, 1.0))

    return {f"backward_bleu_{order}": figure_of(column) for column, order in enumerate(config.orders)}


def _that_meet(samples: Postings, references: Postings, num_samples: int) -> tuple[Postings, Postings]:
    """Both sides' n-grams as far as the other side has them too, the references numbered from 0."""
    sample_P, reference_P = (
        np.isin(mine.gram_P, other.gram_P) for mine, other in ((samples, references), (references, samples))
    )
    return (
        Postings(samples.gram_P[sample_P], samples.text_P[sample_P], samples.count_P[sample_P]),
        Postings(
            references.gram_P[reference_P],
            references.text_P[reference_P] - num_samples,
            references.count_P[reference_P],
        ),
    )
