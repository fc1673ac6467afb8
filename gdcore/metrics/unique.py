"""Unique-text ratio: how many different texts among so many; a collapsed generator repeats itself word for word."""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence, joined
from gdcore.evaluation.intervals import Measurement, SetFigure
from gdcore.evaluation.ngram_counts import Ints
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["unique"] = "unique"
    size: int | None = Field(default=None, ge=2)
    """Texts among which copies are looked for, since more texts hold more copies. None: all."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`unique`: different texts / texts."""
    identity_N = np.unique(joined(evidence.samples), return_inverse=True)[1]

    def measure(rows: Ints) -> float:
        return len(np.unique(identity_N[rows])) / len(rows)

    num_texts = len(identity_N)
    size = min(config.size or num_texts, num_texts)
    return {"unique": SetFigure(measure, num_texts, size, share_of=num_texts)}
