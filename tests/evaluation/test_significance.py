"""p-values, Holm's correction and samples needed, against numbers worked out by hand or taken from tables."""

import math

import numpy as np
import pytest

from gdcore.evaluation.significance import LEVEL, holm, needed, p_of, student_limit, student_p, z_of


def test_p_is_below_five_per_cent_exactly_when_the_interval_leaves_zero_out() -> None:
    assert p_of({"value": 0.2, "low": 0.0, "high": 0.5}) == pytest.approx(0.05)
    assert p_of({"value": -0.2, "low": -0.9, "high": 0.0}) == pytest.approx(0.05)
    assert p_of({"value": 0.2, "low": 0.01, "high": 0.3}) < 0.05 < p_of({"value": 0.2, "low": -0.01, "high": 0.3})
    assert z_of({"value": 0.3, "low": 0.2, "high": 9.0}) == pytest.approx(3 * 1.96, abs=1e-3)
    assert p_of({"value": 0.0, "low": 0.0, "high": 0.0}) == 1
    assert p_of({"value": 0.1, "low": 0.1, "high": 0.1}) == 0


@pytest.mark.parametrize(
    ("freedom", "limit"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (9, 2.2622), (30, 2.0423)]
)
def test_student_against_the_table(freedom: int, limit: float) -> None:
    assert student_limit(freedom) == pytest.approx(limit, abs=1e-4)
    assert student_p(limit, freedom) == pytest.approx(LEVEL, abs=1e-5)
    assert student_p(0, freedom) == 1
    assert student_p(math.inf, freedom) == 0


def test_holm_by_hand() -> None:
    # Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04; none below one before it: the last becomes .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.6]) == pytest.approx([0.8, 0.8])
    assert holm([0.9, 0.8, 0.7]) == [1, 1, 1]
    assert holm([]) == []


def test_holm_errs_in_five_of_a_hundred_families() -> None:
    rng = np.random.default_rng(0)
    rejected = sum(min(holm(rng.uniform(size=6).tolist())) < LEVEL for _ in range(2000))
    assert 0.035 < rejected / 2000 < 0.065


def test_samples_needed_by_hand_and_by_simulation() -> None:
    # 1.96 + .8416 = 2.8016 standard errors: at z = 1, 7.849 times as many.
    assert needed(1000, 1.0, 1) == 7849
    assert needed(1000, 1.0, 5) > 7849
    assert needed(1000, 0.0, 5) is None
    number, rng = needed(50, 0.7, 1), np.random.default_rng(1)
    assert number
    # A mean that lies .7 standard errors (of 50 values) off zero is seen 4 times in 5 with so many values.
    z = rng.normal(0.7 * math.sqrt(number / 50), 1, 4000)
    assert (np.abs(z) > 1.96).mean() == pytest.approx(0.8, abs=0.03)
