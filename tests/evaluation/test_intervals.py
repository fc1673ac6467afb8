"""Intervals hold what they promise: right by hand where that can be done, right in 95 of 100 cases elsewhere."""

import numpy as np
import pytest

from gdcore.evaluation.intervals import (
    Mean,
    Ratio,
    Sampling,
    SetFigure,
    Share,
    difference,
    figure,
    figures,
    paired_difference,
)

SAMPLING = Sampling(seed=0, resamples=400, subsamples=20)


def covers(found: dict[str, float] | object, truth: float) -> bool:
    assert isinstance(found, dict)
    return found["low"] <= truth <= found["high"]


def test_bootstrap_of_a_mean_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(5, 2, 1000)
    found = figure(Mean(values), Sampling(0, 2000))
    half = 1.96 * values.std() / np.sqrt(1000)
    assert found["value"] == pytest.approx(values.mean())
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, rel=0.08)


def test_same_seed_same_interval_and_together_as_alone() -> None:
    values = np.random.default_rng(1).normal(size=50)
    assert figure(Mean(values), SAMPLING) == figure(Mean(values), SAMPLING)
    together = figures({"a": Mean(values), "b": Mean(values**2), "c": Mean(values[:20])}, SAMPLING)
    assert list(together) == ["a", "b", "c"]
    assert together["a"] == pytest.approx(figure(Mean(values), SAMPLING))


def test_ratio_weighs_by_the_denominator_and_covers() -> None:
    hits = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        tokens = rng.integers(1, 30, 200).astype(float)
        hits += covers(figure(Ratio(tokens * 3 + rng.normal(0, 4, 200), tokens), Sampling(seed, 200)), 3.0)
    assert 0.89 < hits / 150 <= 1


def test_wilson_by_hand() -> None:
    assert figure(Share(0, 100), SAMPLING)["low"] == pytest.approx(0, abs=1e-12)
    assert figure(Share(0, 100), SAMPLING)["high"] == pytest.approx(0.0370, abs=1e-4)
    half = figure(Share(50, 100), SAMPLING)
    assert (half["low"], half["high"]) == pytest.approx((0.4038, 0.5962), abs=1e-4)


@pytest.mark.parametrize("size", [1000, 100])
def test_set_figures_cover_what_fresh_sets_of_that_size_have(size: int) -> None:
    """The share of different values among `size` draws of a Zipf law, from 300 texts: whole or at a smaller size."""
    num_texts = 300
    law = 1 / np.arange(1, 200)
    law /= law.sum()

    def distinct_share(values: np.ndarray) -> float:
        return len(np.unique(values)) / len(values)

    rng = np.random.default_rng(0)
    fresh = min(size, num_texts)
    truth = np.mean([distinct_share(rng.choice(199, fresh, p=law)) for _ in range(2000)])
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).choice(199, num_texts, p=law)
        measured = SetFigure(lambda rows, values=values: distinct_share(values[rows]), num_texts, size)
        hits += covers(figure(measured, Sampling(seed, subsamples=20)), float(truth))
    assert 0.88 < hits / 200 <= 1


def test_difference_of_independent_figures_adds_in_quadrature() -> None:
    found = difference({"value": 1, "low": 0.7, "high": 1.3}, {"value": 2, "low": 1.6, "high": 2.4})
    assert (found["value"], found["low"], found["high"]) == pytest.approx((1, 0.5, 1.5))
    same = difference({"value": 0, "low": 0, "high": 0.1}, {"value": 0, "low": 0, "high": 0.1})
    assert same["low"] < 0 < same["high"]


def test_pairing_sees_what_independence_hides() -> None:
    rng = np.random.default_rng(3)
    tokens, hard = rng.integers(5, 15, 400).astype(float), rng.normal(60, 25, 400)
    a, b = Ratio(hard, tokens), Ratio(hard + tokens * 0.02 + rng.normal(0, 0.2, 400), tokens)
    paired = paired_difference(a, b, SAMPLING)
    assert paired["low"] > 0
    assert paired["value"] == pytest.approx(0.02, abs=0.01)
    assert not difference(figure(a, SAMPLING), figure(b, SAMPLING))["low"] > 0
    with pytest.raises(ValueError, match="same texts"):
        paired_difference(a, Ratio(hard, tokens + 1), SAMPLING)
