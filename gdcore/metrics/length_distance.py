"""Length distance: by how many words texts must grow or shrink, on average, for the samples' lengths to be real ones.

The Wasserstein-1 distance of the two histograms: unlike a difference of means it sees that all texts became alike. It
is never 0 between finite sets, so it stands beside its floor, the distance of real text from other real text.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Rows, SetFigure
from gdcore.evaluation.ngram_counts import Ints
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["length_distance"] = "length_distance"
    size: int | None = Field(default=None, ge=1)
    """Texts on the side that is measured: chance alone parts few texts further. None: all; of the floor, half."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`length_distance`, and `length_distance_floor` where there is more than one reference."""
    # Sorted: only how often each length occurs may matter, not which text has it.
    samples_N, references_R = np.sort(evidence.sample_lengths), np.sort(evidence.reference_lengths)
    num_samples, num_references = len(samples_N), len(references_R)
    limits = (0.0, float(max(samples_N[-1], references_R[-1])))

    def of_samples(rows: Rows) -> float:
        return wasserstein(samples_N[rows], references_R)

    size = min(config.size or num_samples, num_samples)
    found: dict[str, Measurement] = {"length_distance": SetFigure(of_samples, num_samples, size, limits=limits)}

    def of_references(rows: Rows) -> float:
        return wasserstein(references_R[rows], np.delete(references_R, rows))

    if half := num_references // 2:
        size = min(config.size or half, half)
        found["length_distance_floor"] = SetFigure(of_references, num_references, size, limits=limits)
    return found


def wasserstein(a_N: Ints, b_M: Ints) -> float:
    """Between two sets of whole numbers ≥ 0: the area between their cumulative histograms."""
    longest = int(max(a_N.max(), b_M.max()))
    cumulative = [np.bincount(each, minlength=longest + 1).cumsum() / len(each) for each in (a_N, b_M)]
    return float(np.abs(cumulative[0] - cumulative[1]).sum())
