"""Length: units per text, on average; drift from the real text's is an early sign of collapse."""

from typing import Literal

import numpy as np

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Mean, Measurement
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["length"] = "length"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`length`: empty texts count as 0."""
    return {"length": Mean(evidence.sample_lengths.astype(np.float64))}
