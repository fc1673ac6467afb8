"""Whether a discriminator's verdicts mean what they say: of the texts it gives 70 %, are 70 % real?

Held-out real texts and as many generated ones. A discriminator of pairs has no threshold of its own (a constant added
to its verdicts changes nothing in its training), so ranking is reported beside accuracy, and every figure of the
probabilities both as they come and after a line was fitted through the logits (Platt 1999).

Shape letters: R real texts, F generated ones, N both, K bins.
"""

import numpy as np
from typing_extensions import TypedDict

from gdcore.evaluation.intervals import NORMAL, Figure, Mean, Sampling, Share, Stated, Values, figure

NUM_BINS = 10
NUM_DRAWS = 200
"""Draws that tell what error a perfect discriminator would show."""
PULL = 1.0
"""Towards a slope of nothing, worth about one text: it keeps the slope finite where both sides are told apart."""


class Bin(TypedDict):
    """Texts that were given like probabilities."""

    texts: int
    predicted: float
    """The mean probability of being real that they were given."""
    real: Figure
    """The share of them that is real."""


class Reliability(TypedDict):
    """How probabilities and outcomes agree."""

    brier: Figure
    """Mean squared error of the probabilities: 0 is best, .25 is what «one half» always gets."""
    ece: float
    """Expected calibration error: the mean distance of probability and outcome over the bins, weighted by texts."""
    ece_floor: float
    """What a perfectly calibrated discriminator would show at most, in 95 of 100 sets of so many texts."""
    bins: list[Bin]


class Calibration(TypedDict):
    """A discriminator on held-out real texts and as many generated ones."""

    texts: int
    """Of each side."""
    ranked: Figure
    """Share of pairs of a real and a generated text in which the real one gets the higher verdict (AUC)."""
    accuracy: Figure
    """Share of texts on the right side of logit 0."""
    slope: float
    offset: float
    """The fitted line: slope × logit + offset is the logit of a calibrated probability."""
    raw: Reliability
    fitted: Reliability
    """After the line; each half of the texts is judged by the line that the other half gave."""


def calibrate(real_R: Values, fake_F: Values, sampling: Sampling) -> Calibration:
    """The calibration of logits of real and generated texts; of the longer side, the first so many are used."""
    num = min(len(real_R), len(fake_F))
    logits_N = np.concatenate([real_R[:num], fake_F[:num]]).astype(np.float64)
    is_real_N = np.repeat([True, False], num)
    slope, offset = fit(logits_N, is_real_N)
    crossed_N = np.empty_like(logits_N)
    odd_N = np.arange(2 * num) % 2 == 1
    for half_N in (odd_N, ~odd_N):
        line = fit(logits_N[~half_N], is_real_N[~half_N])
        crossed_N[half_N] = line[0] * logits_N[half_N] + line[1]
    right = int(((logits_N > 0) == is_real_N).sum())
    return {
        "texts": num,
        "ranked": figure(ranked(logits_N[:num], logits_N[num:]), sampling),
        "accuracy": figure(Share(right, 2 * num), sampling),
        "slope": slope,
        "offset": offset,
        "raw": reliability(probability(logits_N), is_real_N, sampling),
        "fitted": reliability(probability(crossed_N), is_real_N, sampling),
    }


def probability(logits: Values) -> Values:
    """σ of logits, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * logits))


def fit(logits_N: Values, is_real_N: np.ndarray) -> tuple[float, float]:
    """The slope and offset that make the outcomes likeliest: logistic regression on one number, by Newton's method."""
    centre, scale = float(logits_N.mean()), max(float(logits_N.std()), 1e-9)
    inputs_N2 = np.stack([(logits_N - centre) / scale, np.ones_like(logits_N)], axis=1)
    weights, pull = np.zeros(2), np.array([PULL, 0.01])
    for _ in range(50):
        p_N = probability(inputs_N2 @ weights)
        gradient = inputs_N2.T @ (p_N - is_real_N) + pull * weights
        curvature = (inputs_N2 * (p_N * (1 - p_N))[:, None]).T @ inputs_N2 + np.diag(pull)
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    slope = float(weights[0] / scale)
    return slope, float(weights[1]) - slope * centre


def ranked(real_R: Values, fake_F: Values) -> Stated:
    """The share of pairs in the right order, ties counting half, with DeLong's interval (1988)."""
    order_F, order_R = np.sort(fake_F), np.sort(real_R)
    below = np.searchsorted(order_F, real_R, "left") + np.searchsorted(order_F, real_R, "right")
    above = np.searchsorted(order_R, fake_F, "left") + np.searchsorted(order_R, fake_F, "right")
    beaten_R, beating_F = below / (2 * len(fake_F)), 1 - above / (2 * len(real_R))
    value = float(beaten_R.mean())
    variance = sum(float(each.var(ddof=1)) / len(each) for each in (beaten_R, beating_F) if len(each) > 1)
    # Where all pairs fall alike the variance seen is nothing: then the largest that a share can have.
    half = NORMAL * (variance or 0.25 / len(real_R)) ** 0.5
    return Stated(value, max(0.0, value - half), min(1.0, value + half))


def reliability(probability_N: Values, is_real_N: np.ndarray, sampling: Sampling) -> Reliability:
    """Bins of equal width; empty ones are left out."""
    bin_N = np.minimum((probability_N * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    bins: list[Bin] = []
    for k in np.unique(bin_N):
        inside = bin_N == k
        share = figure(Share(int(is_real_N[inside].sum()), int(inside.sum())), sampling)
        bins.append({"texts": int(inside.sum()), "predicted": float(probability_N[inside].mean()), "real": share})
    rng = np.random.default_rng(sampling.seed)
    perfect = [_ece(probability_N, rng.random(len(bin_N)) < probability_N, bin_N) for _ in range(NUM_DRAWS)]
    return {
        "brier": figure(Mean((probability_N - is_real_N) ** 2), sampling),
        "ece": _ece(probability_N, is_real_N, bin_N),
        "ece_floor": float(np.percentile(perfect, 95)),
        "bins": bins,
    }


def _ece(probability_N: Values, is_real_N: np.ndarray, bin_N: np.ndarray) -> float:
    gap_K = np.bincount(bin_N, weights=probability_N - is_real_N, minlength=NUM_BINS)
    return float(np.abs(gap_K).sum() / len(bin_N))
