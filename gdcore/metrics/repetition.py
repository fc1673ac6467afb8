"""Repetition within a text: n-grams that stood in it before (Welleck et al. 2020), and words said twice in a row.

Self-BLEU and distinct-n look across texts and hardly see one that runs in circles. Real text repeats a little as well.
"""

from typing import Literal

import numpy as np

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["repetition"] = "repetition"
    orders: tuple[int, ...] = (2, 4)
    """Lengths of the n-grams looked for."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`repetition_n`: Σ (n-grams − different ones) / Σ n-grams, text by text; `immediate_repeats`: words that equal the
    word before / words that have one. A text too short to repeat itself counts as one that could and does not."""
    num_texts, lengths_N = len(evidence.samples), evidence.sample_lengths
    found: dict[str, Measurement] = {}
    for order in config.orders:
        totals_N = np.maximum(0, lengths_N - order + 1)
        different_N = np.bincount(evidence.sample_postings(order).text_P, minlength=num_texts)
        found[f"repetition_{order}"] = Ratio((totals_N - different_N).astype(np.float64), np.maximum(1.0, totals_N))
    num_tokens = int(lengths_N.sum())  # the samples' come first
    tokens_T, text_T = evidence.counts.tokens_T[:num_tokens], evidence.counts.text_T[:num_tokens]
    again_T = (tokens_T[1:] == tokens_T[:-1]) & (text_T[1:] == text_T[:-1])
    repeats_N = np.bincount(text_T[1:][again_T], minlength=num_texts).astype(np.float64)
    found["immediate_repeats"] = Ratio(repeats_N, np.maximum(1.0, lengths_N - 1))
    return found
