"""Vocabulary coverage: how many of the references' different words the samples use at all; low means a narrow world."""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, SetFigure
from gdcore.evaluation.ngram_counts import Ints
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["vocabulary_coverage"] = "vocabulary_coverage"
    size: int | None = Field(default=None, ge=1)
    """Samples whose words are looked at, since more samples use more words. None: all."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`vocabulary_coverage`: references' words that occur in the samples / references' words."""
    words = np.unique(evidence.reference_postings(1).gram_P)
    postings = evidence.sample_postings(1)
    known_P = np.isin(postings.gram_P, words)
    num_texts = len(evidence.samples)

    def measure(rows: Ints) -> float:
        chosen_N = np.zeros(num_texts, np.bool_)
        chosen_N[rows] = True
        return len(np.unique(postings.gram_P[known_P & chosen_N[postings.text_P]])) / max(1, len(words))

    return {"vocabulary_coverage": SetFigure(measure, num_texts, min(config.size or num_texts, num_texts))}
