"""MAUVE: the area under the divergence frontier of two clouds of texts, cut into cells (Pillutla et al. 2021, §2).

k-means cuts both clouds together into cells; P and Q are the shares of real texts and of samples in each. Along the
mixtures R = λP + (1−λ)Q the frontier is {(exp(−c·KL(Q‖R)), exp(−c·KL(P‖R)))}; the area under it is 1 where P = Q and
falls with either kind of error: samples where no real text is, and real texts where no sample is.

Shapes: N samples, R references, D dimensions, K cells, S clusterings, L mixtures.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse

from gdcore.evaluation.embedding import cloud, squared_distances
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, SetFigure
from gdcore.evaluation.ngram_counts import Floats, Ints
from gdcore.settings import Settings

Points = NDArray[np.float32]

MIXTURES = np.linspace(0, 1, 101)[1:-1]


class Config(Settings):
    name: Literal["mauve"] = "mauve"
    encoder: str = "tfidf_svd"
    """What makes points of texts: a file of `gdcore/encoders`."""
    size: int = Field(default=2000, ge=2)
    """Texts of either side; fewer leave cells empty by chance and lower the figure."""
    cells: int = Field(default=200, ge=2)
    """What k-means cuts both clouds into; fewer where a cell would hold less than twenty texts, half of either side."""
    clusterings: int = Field(default=5, ge=1)
    """Runs of k-means from different starts."""
    scaling: float = Field(default=5.0, gt=0)
    """c: how fast the frontier falls with divergence."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`mauve`. Each draw of samples is counted under one of the clusterings: the interval holds their spread too."""
    points = cloud(evidence, config.encoder)
    if points is None:
        return {}
    real_RD, samples_ND = (side.astype(np.float32) for side in (points.references_RD[: config.size], points.samples_ND))
    both = np.concatenate([samples_ND[: config.size], real_RD])
    num_cells = max(2, min(config.cells, len(both) // 20))
    cell_SR: list[Ints] = []
    cell_SN: list[Ints] = []
    for run in range(config.clusterings):
        centres_KD = k_means(both, num_cells, np.random.default_rng([evidence.seed, run]))
        cell_SR.append(nearest(real_RD, centres_KD))
        cell_SN.append(nearest(samples_ND, centres_KD))

    def under(run: int, rows: Ints) -> float:
        shares = [np.bincount(cells, minlength=num_cells) / len(cells) for cells in (cell_SR[run], cell_SN[run][rows])]
        return area(shares[0], shares[1], config.scaling)

    def measure(rows: Ints) -> float:
        if len(rows) == num_texts:
            return float(np.mean([under(run, rows) for run in range(config.clusterings)]))
        return under(int(rows.sum()) % config.clusterings, rows)  # any rule that is blind to what the rows hold

    num_texts = len(samples_ND)
    return {"mauve": SetFigure(measure, num_texts, min(config.size, num_texts))}


def area(real_K: Floats, fake_K: Floats, scaling: float) -> float:
    """The area under the divergence frontier of two distributions over cells; 1 where they are equal."""
    mixed_LK = MIXTURES[:, None] * real_K + (1 - MIXTURES[:, None]) * fake_K
    # The frontier runs from (1, 0), where only real cells count, to (0, 1).
    x = np.concatenate([[1.0], np.exp(-scaling * _divergences(fake_K, mixed_LK)), [0.0]])
    y = np.concatenate([[0.0], np.exp(-scaling * _divergences(real_K, mixed_LK)), [1.0]])
    return float((-np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def _divergences(share_K: Floats, mixed_LK: Floats) -> Floats:
    """KL(share ‖ mixture) in nats, shape (L,)."""
    held = share_K > 0
    return (share_K[held] * np.log(share_K[held] / mixed_LK[:, held])).sum(1)


def k_means(points_ND: Points, num_cells: int, rng: np.random.Generator, most: int = 30) -> Points:
    """Lloyd's algorithm from random points, until no point moves or `most` turns are over; centres (K, D)."""
    num_points = len(points_ND)
    centres_KD = points_ND[rng.permutation(num_points)[:num_cells]]
    cell_N = np.full(num_points, -1)
    for _ in range(most):
        before_N, cell_N = cell_N, nearest(points_ND, centres_KD)
        if np.array_equal(before_N, cell_N):
            break
        member_KN = sparse.csr_array(
            (np.ones(num_points, np.float32), (cell_N, np.arange(num_points))), shape=(len(centres_KD), num_points)
        )
        sizes_K1 = np.bincount(cell_N, minlength=len(centres_KD)).astype(np.float32)[:, None]
        # An empty cell stays where it is.
        centres_KD = np.where(sizes_K1 > 0, (member_KN @ points_ND) / np.maximum(1, sizes_K1), centres_KD)
    return centres_KD


def nearest(points_ND: Points, centres_KD: Points) -> Ints:
    """Each point's nearest centre, of equally near ones the first; shape (N,)."""
    return squared_distances(points_ND, centres_KD).argmin(1)
