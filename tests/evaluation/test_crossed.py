"""Figures that two draws move: right by hand, and their intervals hold the truth in 95 of 100 cases."""

import numpy as np
import pytest

from gdcore.evaluation.crossed import crossed
from gdcore.evaluation.intervals import Ratio, Rows, Sampling, Stated
from gdcore.evaluation.ngram_counts import Floats


def additive(of_samples_N: Floats, of_real_R: Floats):
    """What a set of samples does to every real text alike, and what is each real text's own."""
    return lambda rows: Ratio(of_samples_N[rows].mean() + of_real_R, np.ones(len(of_real_R)))


@pytest.mark.parametrize("samples_spread", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("size", [60, 300])
def test_the_interval_covers_both_draws(samples_spread: float, size: int) -> None:
    hits = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        measure = additive(rng.normal(0, samples_spread, 300), rng.normal(5, 1, 200))
        found = crossed(measure, 300, size, Sampling(seed, resamples=100, subsamples=20), (-np.inf, np.inf))
        hits += found.low <= 5 <= found.high
    assert 89 <= hits <= 100


def test_one_draw_alone_is_too_narrow() -> None:
    """What the interval would miss if it looked at real texts only."""
    rng = np.random.default_rng(0)
    samples_N, real_R = rng.normal(0, 4, 300), rng.normal(5, 1, 200)
    both = crossed(additive(samples_N, real_R), 300, 60, Sampling(0, subsamples=20), (-np.inf, np.inf))
    real_alone = crossed(additive(np.zeros(300), real_R), 300, 60, Sampling(0, subsamples=20), (-np.inf, np.inf))
    assert both.high - both.low > 2 * (real_alone.high - real_alone.low)


def test_sets_of_the_size_asked_for_are_averaged_and_halves_only_tell_the_spread() -> None:
    met: list[Rows] = []

    def measure(rows: Rows) -> Ratio:
        met.append(rows)
        return Ratio(np.full(3, float(len(rows))), np.full(3, 2.0))

    sampling = Sampling(0, subsamples=4)
    assert crossed(measure, 10, 6, sampling, (0, np.inf)) == Stated(3, 3, 3)
    assert [len(set(rows.tolist())) for rows in met] == [6] * 4
    met.clear()
    assert crossed(measure, 10, None, sampling, (0, np.inf)).value == 5
    assert sorted(len(rows) for rows in met) == [5, 5, 5, 5, 10]


def test_limits_are_kept() -> None:
    found = crossed(
        additive(np.random.default_rng(0).normal(0, 1, 20), np.full(9, 0.99)), 20, 10, Sampling(), (0.0, 1.0)
    )
    assert found.low > 0
    assert found.high == 1.0


@pytest.mark.parametrize("size", [None, 1, 5])
def test_a_single_sample(size: int | None) -> None:
    found = crossed(additive(np.ones(1), np.ones(4)), 1, size, Sampling(), (0.0, np.inf))
    assert (found.low, found.value, found.high) == (2, 2, 2)
