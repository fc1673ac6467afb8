"""The two numbers, read off curves drawn by hand."""

from typing import Any

import pytest

from gdcore.report import two_numbers
from gdcore.report.two_numbers import lowest

CURVE = [(8.0, 8.4), (9.0, 7.8), (9.5, 7.6), (10.0, 7.7)]
"""NLL under the oracle, held-out NLL: the colder, the likelier the samples."""


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (9.5, 7.6),  # a point
        (9.25, 7.7),  # half way between two
        (8.2, 8.28),
        (8.0, 8.4),
        (7.9, None),  # colder than was tried
        (9.8, 7.6),  # the curve turns: what lies before is within reach too
        (20.0, 7.6),
    ],
)
def test_lowest_within_reach(limit: float, expected: float | None) -> None:
    for points in (CURVE, CURVE[::-1]):
        assert lowest(points, limit) == (None if expected is None else pytest.approx(expected))


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def measured(shift: float = 0.0, step: float = 0.0) -> dict[tuple[str, str], dict[int, Any]]:
    """A curve by system `mle`, seeds 0 and 1 of which the second lies higher; `real text` has one number only."""
    rows: dict[tuple[str, str], dict[int, Any]] = {("real text", ""): {0: {"nll_oracle": figure(5.75)}}}
    for i, (x, y) in enumerate(CURVE):
        rows["mle", f"T={i}"] = {
            seed: {"nll_oracle": figure(x + shift), "nll_tempered": figure(y + seed * step)} for seed in (0, 1)
        }
    rows["mle", "likeliest of 4"] = {0: {"nll_oracle": figure(1.0)}, 1: {"nll_oracle": figure(1.0)}}
    return rows


def test_rows_are_systems_over_seeds() -> None:
    found = two_numbers.read(measured(step=0.2))
    assert found is not None
    assert found["limits"] == [9.5, 9.0, 8.5, 8.0]
    (row,) = found["rows"]
    assert (row["system"], row["seeds"]) == ("mle", [0, 1])
    assert [each["value"] for each in row["lowest"]] == pytest.approx([7.7, 7.9, 8.2, 8.5])
    assert row["lowest"][0]["high"] == pytest.approx(7.7 + 12.706 * 0.1, abs=1e-3)  # Student, one degree of freedom
    text = two_numbers.markdown(found)
    assert "| mle | 7.700 ± " in text
    assert "≤ 9.5 |" in text


def test_a_limit_that_one_seed_does_not_reach_is_not_told() -> None:
    rows = measured()
    del rows["mle", "T=0"][1]
    found = two_numbers.read(rows)
    assert found is not None
    assert [each is None for each in found["rows"][0]["lowest"]] == [False, False, True, True]


def test_another_source_has_limits_of_its_own() -> None:
    found = two_numbers.read(measured(shift=-6))
    assert found is not None
    assert found["limits"] == [4.0, 3.33, 2.67, 2.0]


def test_without_an_oracle_there_is_nothing_to_read() -> None:
    assert two_numbers.read({("mle", "T=1"): {0: {"nll": figure(3.0)}}}) is None
