"""Maximum mean discrepancy and energy distance: are two clouds of texts drawn from one source? With a test.

MMD² (Gretton et al. 2012, eq. 3) under the kernel exp(−‖x−y‖² / 2σ²), σ the median distance among real texts, and the
energy distance (Székely and Rizzo 2013), which is the same sum under the kernel −‖x−y‖. Both without bias: their
expectation does not move with the number of texts, is zero for texts of one source, and single figures may be negative.

Shapes: N samples, M references, T texts of both, P permutations.
"""

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from gdcore.evaluation.embedding import Cloud, cloud, squared_distances
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import NORMAL, Measurement, Share, Stated
from gdcore.evaluation.ngram_counts import Bools, Floats
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["mmd"] = "mmd"
    encoder: str = "tfidf_svd"
    """What makes points of texts: a file of `gdcore/encoders`."""
    size: int = Field(default=2000, ge=2)
    """Texts of either side; what the test can tell grows with them."""
    permutations: int = Field(default=300, ge=20)
    """Random regroupings of both sides' texts that the p-values rest on; none can be below 1 / (permutations + 1)."""


class Sums(NamedTuple):
    """A discrepancy, and the same after each of P random regroupings of the texts."""

    value: float
    deviations_N: Floats
    """What each sample adds to it, up to a constant: their mean is subject to chance as the value is."""
    permuted_P: Floats


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`mmd` (squared), `energy`, and the p-value of each.

    A value's interval takes the references as given, as those of all scores against references do; the p-values'
    tells how sure the permutations make them.
    """
    points = cloud(evidence, config.encoder)
    if points is None:
        return {}
    samples_ND, references_MD = points.samples_ND[: config.size], points.references_RD[: config.size]
    texts_TD = np.concatenate([samples_ND, references_MD])
    ours_T = np.arange(len(texts_TD)) < len(samples_ND)
    rng = np.random.default_rng(evidence.seed)
    regrouped_TP = rng.permuted(np.repeat(ours_T[:, None], config.permutations, axis=1), axis=0)
    squared_TT = squared_distances(texts_TD, texts_TD)
    bandwidth = evidence.once(f"{config.encoder}: median squared distance", lambda: _median(points))
    found: dict[str, Measurement] = {}
    for name, kernel_TT in (
        ("mmd", np.exp(squared_TT * (-0.5 / bandwidth))),
        ("energy", -np.sqrt(squared_TT)),
    ):
        sums = discrepancy(kernel_TT, ours_T, regrouped_TP)
        half = NORMAL * 2 * sums.deviations_N.std() / np.sqrt(max(1, len(samples_ND)))
        # Of sums that differ by rounding alone none exceeds the other.
        as_large = sums.permuted_P >= sums.value - 1e-12
        found[name] = Stated(sums.value, sums.value - half, sums.value + half)
        found[f"{name}_p"] = Share(1 + int(as_large.sum()), 1 + config.permutations)
    return found


def discrepancy(kernel_TT: Floats, ours_T: Bools, regrouped_TP: Bools) -> Sums:
    """Mean of the kernel within ours + within theirs − 2 × between, no text paired with itself.

    `ours_T` says which texts are ours, each column of `regrouped_TP` the same after a regrouping.
    """
    kernel_TT = kernel_TT.copy()
    np.fill_diagonal(kernel_TT, 0)
    groups_TP = np.concatenate([ours_T[:, None], regrouped_TP], axis=1).astype(np.float64)
    towards_TP = kernel_TT @ groups_TP
    all_T = kernel_TT.sum(1)
    within_P = (groups_TP * towards_TP).sum(0)
    crossing_P = groups_TP.T @ all_T - within_P
    within_theirs_P = all_T.sum() - within_P - 2 * crossing_P
    num_ours = int(ours_T.sum())
    num_theirs = len(ours_T) - num_ours
    ours_pairs, theirs_pairs = max(1, num_ours * (num_ours - 1)), max(1, num_theirs * (num_theirs - 1))
    values_P = within_P / ours_pairs + within_theirs_P / theirs_pairs - 2 * crossing_P / max(1, num_ours * num_theirs)
    towards_ours_N = towards_TP[ours_T, 0]
    deviations_N = towards_ours_N / max(1, num_ours - 1) - (all_T[ours_T] - towards_ours_N) / max(1, num_theirs)
    return Sums(float(values_P[0]), deviations_N, values_P[1:])


def _median(points: Cloud) -> float:
    """The median squared distance of two different real texts; 1 where they are all alike."""
    squared = squared_distances(points.fitted_FD, points.fitted_FD)[np.triu_indices(len(points.fitted_FD), 1)]
    return float(np.median(squared[squared > 0])) if squared.any() else 1.0
