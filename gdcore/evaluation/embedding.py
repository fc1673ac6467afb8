"""Texts as points, for the metrics that compare two clouds; encoded once for all of them.

The encoder learns from one half of the references, and samples are held against the other half. Were it fitted on the
very texts that the samples are compared with, these would look alien only because they were not fitted on: no
permutation test would hold, and even real text would be told from the references.

Texts are put in an order of their own before anything is drawn: which order they came in changes nothing.

Shapes: N samples, R references, D dimensions.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from gdcore.evaluation.evidence import Evidence, Texts
from gdcore.evaluation.ngram_counts import Floats
from gdcore.plugins import load as load_plugin

Real = TypeVar("Real", np.float32, np.float64)

FITTED = 1000
"""Points of the fitted half that are kept, to read a scale from."""


class Encoder(Protocol):
    """What a file of `gdcore/encoders` makes with `fit(references)`."""

    def encode(self, texts: Texts) -> Floats:
        """A row a text, shape (N, D); texts are encoded independently of one another."""
        ...


@dataclass(frozen=True)
class Cloud:
    """Both sides as points, each in random order: the first so many are a fair draw."""

    samples_ND: Floats
    references_RD: Floats
    """The half of the references that the encoder was not fitted on."""
    fitted_FD: Floats
    """Some of the half that it was fitted on."""


def cloud(evidence: Evidence, encoder: str) -> Cloud | None:
    """Samples and references under an encoder; None where there is a single reference, or no sample.

    Raises UserError where there is no encoder of that name.
    """
    fitted, references_RD, fitted_FD = evidence.once(f"{encoder}: references", lambda: _fit(evidence, encoder))
    samples_ND = evidence.shared(
        f"{encoder}: samples", lambda: fitted.encode(in_random_order(evidence.samples, evidence.seed))
    )
    if not len(references_RD) or not len(samples_ND):
        return None  # of a single reference there is no other half
    return Cloud(samples_ND, references_RD, fitted_FD)


def _fit(evidence: Evidence, name: str) -> tuple[Encoder, Floats, Floats]:
    texts = in_random_order(evidence.references, evidence.seed + 1)
    half = (len(texts) + 1) // 2
    encoder: Encoder = load_plugin("encoders", name).fit(texts[:half])
    return (
        encoder,
        encoder.encode(texts[half:]) if texts[half:] else np.zeros((0, 0)),
        encoder.encode(texts[:half][:FITTED]),
    )


def in_random_order(texts: Texts, seed: int) -> Texts:
    """Shuffled, and always alike whatever order they come in."""
    ordered = sorted(map(list, texts))
    return [ordered[row] for row in np.random.default_rng(seed).permutation(len(ordered))]


def squared_distances(a_ND: NDArray[Real], b_MD: NDArray[Real]) -> NDArray[Real]:
    """Squared Euclidean distances, shape (N, M), in the precision of what is given; between equal points exactly zero.

    One product gives ‖a‖² − 2ab + ‖b‖² at once. What rounding may add to a zero is taken off all of them.
    """
    a_squares_N1, b_squares_M1 = (a_ND**2).sum(1, keepdims=True), (b_MD**2).sum(1, keepdims=True)
    rounding = 64 * np.finfo(a_ND.dtype).eps * max(a_squares_N1.max(initial=0), b_squares_M1.max(initial=0))
    left = np.concatenate([-2 * a_ND, a_squares_N1 - a_ND.dtype.type(rounding), np.ones_like(a_squares_N1)], axis=1)
    right = np.concatenate([b_MD, np.ones_like(b_squares_M1), b_squares_M1], axis=1)
    distances_NM = left @ right.T
    return np.maximum(distances_NM, 0, out=distances_NM)
