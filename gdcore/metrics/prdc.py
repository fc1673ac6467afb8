"""Precision and recall of Kynkäänniemi et al. 2019 (eq. 1–2); density and coverage of Naeem et al. 2020 (eq. 4–6).

Around each point of a cloud a ball reaches to its k-th nearest neighbour. *Precision*: samples that lie in a real ball;
*density*: how many real balls a sample lies in, over k, which one outlier with a huge ball cannot raise as much.
*Recall*: real texts that lie in a sample's ball; *coverage*: real texts in whose ball a sample lies. A ball holds its
rim: texts word for word alike meet even where all k neighbours are copies, and the ball is a point.

Shapes: N samples, R references.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gdcore.evaluation.embedding import cloud, squared_distances
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Mean, Measurement, SetFigure, Share, columns
from gdcore.evaluation.ngram_counts import Bools, Floats, Ints
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["prdc"] = "prdc"
    encoder: str = "tfidf_svd"
    """What makes points of texts: a file of `gdcore/encoders`."""
    neighbours: int = Field(default=5, ge=1)
    """k: a ball reaches to the k-th neighbour."""
    size: int = Field(default=2000, ge=2)
    """References, and samples for recall and coverage: the more, the smaller the balls, and the more points are hit."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`precision`, `recall`, `density`, `coverage`.

    Precision and density are averages over all samples against `size` references; recall and coverage belong to sets of
    `size` samples.
    """
    points = cloud(evidence, config.encoder)
    if points is None:
        return {}
    # Single precision tells neighbours apart just as well, in half the time.
    samples_ND, real_RD = (side.astype(np.float32) for side in (points.samples_ND, points.references_RD[: config.size]))
    key = f"{config.encoder}: balls of {config.neighbours} among {config.size}"
    radii_R = evidence.once(key, lambda: radii(real_RD, config.neighbours))
    distances_NR = squared_distances(samples_ND, real_RD)
    inside_NR: Bools = distances_NR <= radii_R
    balls_N = inside_NR.sum(1)

    def found(rows: Ints) -> Floats:
        reach_S = radii(samples_ND[rows], config.neighbours)
        recalled_R = (distances_NR[rows] <= reach_S[:, None]).any(0)
        return np.array([recalled_R.mean(), inside_NR[rows].any(0).mean()])

    recall, coverage = columns(found, 2)
    num_texts = len(samples_ND)
    size = min(config.size, num_texts)
    return {
        "precision": Share(int((balls_N > 0).sum()), num_texts),
        "recall": SetFigure(recall, num_texts, size),
        "density": Mean(balls_N / config.neighbours),
        "coverage": SetFigure(coverage, num_texts, size),
    }


def radii(points_ND: NDArray[np.float32], neighbours: int) -> NDArray[np.float32]:
    """Squared distance of each point to its k-th nearest other one, or the farthest of fewer; shape (N,)."""
    distances_NN = squared_distances(points_ND, points_ND)
    # Itself, at distance zero, comes first.
    rank = min(neighbours, len(points_ND) - 1)
    distances_NN.partition(rank, axis=1)
    return distances_NN[:, rank]
