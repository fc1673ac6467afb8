"""Fréchet distance: how far apart two clouds of texts lie, each taken for a Gaussian (Heusel et al. 2017, eq. 6).

Moves with location and spread of what texts are about. Of texts of the same source it is not zero: estimated from n
texts it is too large by about (dimensions²)/n of their spread, which is why it is taken at a fixed size.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.embedding import cloud
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, SetFigure
from gdcore.evaluation.ngram_counts import Floats, Ints
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["frechet"] = "frechet"
    encoder: str = "tfidf_svd"
    """What makes points of texts: a file of `gdcore/encoders`."""
    size: int = Field(default=2000, ge=2)
    """Texts of either side that the Gaussians are estimated from."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`frechet`, against `size` references."""
    points = cloud(evidence, config.encoder)
    if points is None:
        return {}
    key = f"{config.encoder}: gaussian of {config.size}"
    mean_D, root_DD, trace = evidence.once(key, lambda: _reference(points.references_RD[: config.size]))

    def measure(rows: Ints) -> float:
        own_mean_D, own_DD = gaussian(points.samples_ND[rows])
        # tr (Σ₁Σ₂)^½ is the sum of the roots of the eigenvalues of the symmetric Σ₁^½ Σ₂ Σ₁^½.
        common = np.sqrt(np.linalg.eigvalsh(root_DD @ own_DD @ root_DD).clip(0)).sum()
        return max(0.0, float(((mean_D - own_mean_D) ** 2).sum() + trace + np.trace(own_DD) - 2 * common))

    num_texts = len(points.samples_ND)
    return {"frechet": SetFigure(measure, num_texts, min(config.size, num_texts), limits=(0.0, np.inf))}


def gaussian(points_ND: Floats) -> tuple[Floats, Floats]:
    """Mean (D,) and covariance (D, D); of a single point the covariance is zero."""
    mean_D = points_ND.mean(0)
    centred_ND = points_ND - mean_D
    return mean_D, centred_ND.T @ centred_ND / max(1, len(points_ND) - 1)


def _reference(points_RD: Floats) -> tuple[Floats, Floats, float]:
    """Mean, symmetric root of the covariance, and its trace."""
    mean_D, covariance_DD = gaussian(points_RD)
    values_D, vectors_DD = np.linalg.eigh(covariance_DD)
    return mean_D, (vectors_DD * np.sqrt(values_D.clip(0))) @ vectors_DD.T, float(np.trace(covariance_DD))
