"""The discriminator examined: figures with known answers."""

import numpy as np
import pytest

from gdcore.evaluation.calibration import calibrate, fit, probability, ranked
from gdcore.evaluation.intervals import Sampling

SAMPLING = Sampling(resamples=200)


def logits(num: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Of N(½, 1) against N(−½, 1): the log-odds are the number itself, so it is calibrated as it stands."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.5, 1, num), rng.normal(-0.5, 1, num)


def test_by_hand() -> None:
    found = calibrate(np.array([2.0, 1.0]), np.array([1.0, -1.0]), SAMPLING)
    assert found["ranked"]["value"] == (1 + 1 + 0.5 + 1) / 4
    assert found["accuracy"]["value"] == 3 / 4
    p = [float(probability(np.array(x))) for x in (2.0, 1.0, 1.0, -1.0)]
    assert found["raw"]["brier"]["value"] == pytest.approx(sum((a - b) ** 2 for a, b in zip(p, (1, 1, 0, 0))) / 4)
    # Bins of a tenth: σ(2) = .88 alone, both σ(1) = .73 together, σ(−1) = .27 alone.
    expected = (abs(p[0] - 1) + abs(2 * p[1] - 1) + p[3]) / 4
    assert found["raw"]["ece"] == pytest.approx(expected)
    assert [each["texts"] for each in found["raw"]["bins"]] == [1, 2, 1]
    assert [each["real"]["value"] for each in found["raw"]["bins"]] == [0, 0.5, 1]


def test_a_calibrated_discriminator_is_found_to_be_one() -> None:
    found = calibrate(*logits(), SAMPLING)
    assert (found["slope"], found["offset"]) == pytest.approx((1, 0), abs=0.1)
    assert found["ranked"]["low"] < 0.7602 < found["ranked"]["high"]  # Φ(1/√2)
    assert found["raw"]["ece"] <= found["raw"]["ece_floor"] * 1.3
    assert found["raw"]["brier"]["value"] == pytest.approx(found["fitted"]["brier"]["value"], abs=0.002)


def test_an_affine_change_of_the_logits_is_undone_by_the_line() -> None:
    real, fake = logits()
    plain, bent = calibrate(real, fake, SAMPLING), calibrate(3 * real + 5, 3 * fake + 5, SAMPLING)
    assert bent["ranked"] == pytest.approx(plain["ranked"])
    assert bent["accuracy"]["value"] < 0.6 < plain["accuracy"]["value"]
    assert bent["raw"]["ece"] > 0.3
    assert bent["fitted"]["ece"] == pytest.approx(plain["fitted"]["ece"], abs=0.01)
    assert (bent["slope"] * 3, bent["slope"] * 5 + bent["offset"]) == pytest.approx(
        (plain["slope"], plain["offset"]), abs=1e-4
    )


def test_the_intervals_are_those_of_delong() -> None:
    """95 of 100 fresh sets of texts should find their interval over the truth."""
    held = [ranked(*logits(150, seed)) for seed in range(400)]
    assert 0.92 <= np.mean([each.low < 0.7602 < each.high for each in held]) <= 0.98


@pytest.mark.parametrize(("real", "fake", "share"), [(1.0, -1.0, 1.0), (-1.0, 1.0, 0.0), (1.0, 1.0, 0.5)])
def test_verdicts_that_never_vary(real: float, fake: float, share: float) -> None:
    found = calibrate(np.full(5, real), np.full(9, fake), SAMPLING)
    assert found["texts"] == 5
    assert found["ranked"]["value"] == share
    assert found["ranked"]["low"] < found["ranked"]["high"]
    assert np.isfinite([found["slope"], found["offset"]]).all()


def test_the_line_stays_finite_far_from_zero() -> None:
    slope, offset = fit(np.array([1000.0, 1001.0, 1002.0, 1003.0]), np.array([False, False, True, True]))
    assert slope > 0
    assert probability(np.array(slope * 1003 + offset)) > 0.5 > probability(np.array(slope * 1000 + offset))
