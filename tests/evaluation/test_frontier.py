"""Curves over decodings: areas by rectangles, matched values by hand, and no difference where there is none."""

from typing import Any

import numpy as np
import pytest

from gdcore.decoding import Decoding
from gdcore.evaluation.frontier import Cloud, frontier, hypervolume, interpolated

GRID = [
    Decoding(),
    Decoding(temperature=0.9),
    Decoding(temperature=0.8),
    Decoding(min_p=0.1),
    Decoding(candidates=4),
    Decoding(candidates=4, choose="discriminator"),
]


def about(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": value - half, "high": value + half}


def row(model: str, decoding: Decoding | None, x: float, y: float, half: float = 0.002) -> dict[str, Any]:
    metrics = {"self_bleu_4": about(x, half), "bleu_4": about(y, half)}
    return {"model": model, "decoding": decoding and decoding.model_dump(), "metrics": metrics}


def rows(lift: float = 0.0, half: float = 0.002, rng: np.random.Generator | None = None) -> list[dict[str, Any]]:
    """Two models of one temperature each step, on a line of slope ½, the second one lifted; real text a point."""

    def off() -> float:
        return 0.0 if rng is None else rng.normal(0, half / 1.96)

    found = [row("real", None, 0.42, 0.34, half)]
    for model, higher in (("pretrained", 0.0), ("finetuned", lift)):
        for step, decoding in enumerate(GRID[:3]):
            found.append(row(model, decoding, 0.4 + 0.1 * step + off(), 0.3 + 0.05 * step + higher + off(), half))
    return found


def match(found: Any, a: tuple[str, str], b: tuple[str, str]) -> Any:
    return next(each for each in found["wording"]["matched"] if (each["a"], each["b"]) == (a, b))


def test_area_by_rectangles() -> None:
    """Widths 1 at heights 3, 2 and 1; a point inside adds nothing."""
    assert hypervolume(np.array([[3.0, 1.0, 2.0]]), np.array([[1.0, 3.0, 2.0]])).tolist() == [6]
    assert hypervolume(np.array([[3.0, 1.0, 2.0, 1.5]]), np.array([[1.0, 3.0, 2.0, 1.5]])).tolist() == [6]
    assert hypervolume(np.array([[0.0, 2.0], [1.0, 1.0]]), np.array([[5.0, 3.0], [4.0, 2.0]])).tolist() == [6, 4]


def test_areas_are_measured_from_the_corner() -> None:
    plane = frontier([row("pretrained", Decoding(), 0.4, 0.3, 0)])["wording"]
    assert plane["corner"] == {"x": 1.0, "y": 0.0}
    assert plane["curves"][0]["hypervolume"]["value"] == pytest.approx(0.6 * 0.3)
    assert plane["real"] is None


def test_straight_lines_between_decodings_whatever_their_order() -> None:
    cloud = Cloud(np.array([[3.0, 1.0, 2.0]]), np.array([[9.0, 1.0, 4.0]]))
    assert interpolated(cloud, np.array([1.5, 2.5]))[0] == pytest.approx([2.5, 6.5])


def test_matched_at_the_same_diversity() -> None:
    found = match(frontier(rows(lift=0.02)), ("pretrained", "temperature"), ("finetuned", "temperature"))
    assert [each["x"] for each in found["levels"]] == pytest.approx([0.42, 0.46, 0.5, 0.54, 0.58])
    assert [each["a"] for each in found["levels"]] == pytest.approx([0.31, 0.33, 0.35, 0.37, 0.39])
    assert [each["difference"]["value"] for each in found["levels"]] == pytest.approx([0.02] * 5)
    assert found["gain"]["value"] == pytest.approx(0.02)
    assert found["gain"]["low"] > 0.015
    assert found["verdict"] == "better"
    assert found["hypervolume"]["value"] > 0
    worse = match(frontier(rows(lift=-0.02)), ("pretrained", "temperature"), ("finetuned", "temperature"))
    assert (worse["verdict"], worse["gain"]["value"]) == ("worse", pytest.approx(-0.02))


def test_a_colder_point_of_the_same_curve_is_no_better() -> None:
    """Higher BLEU at higher self-BLEU: the very thing that matching is for."""
    colder = [*rows()[:4], row("finetuned", GRID[1], 0.45, 0.325), row("finetuned", GRID[2], 0.58, 0.39)]
    found = match(frontier(colder), ("pretrained", "temperature"), ("finetuned", "temperature"))
    assert found["verdict"] == "no difference"
    assert found["gain"]["value"] == pytest.approx(0, abs=1e-9)


def test_curves_without_common_diversity_are_not_matched() -> None:
    apart = [*rows()[:4], row("finetuned", GRID[0], 0.8, 0.5), row("finetuned", GRID[1], 0.9, 0.6)]
    found = match(frontier(apart), ("pretrained", "temperature"), ("finetuned", "temperature"))
    assert (found["levels"], found["gain"], found["verdict"]) == ([], None, None)


def test_the_gain_covers_the_truth_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(120):
        noisy = rows(lift=0.01, half=0.006, rng=np.random.default_rng(seed))
        gain = match(frontier(noisy), ("pretrained", "temperature"), ("finetuned", "temperature"))["gain"]
        hits += gain["low"] <= 0.01 <= gain["high"]
    assert 0.9 <= hits / 120 <= 1


def test_distance_to_real_text_by_hand() -> None:
    points = frontier(rows())["wording"]["curves"][0]["points"]
    assert points[0]["distance"]["value"] == pytest.approx(np.hypot(0.02, 0.04))
    half = 0.002 * np.sqrt(2)
    assert points[0]["distance"]["low"] == pytest.approx(np.hypot(0.02 - half, 0.04 - half))
    assert points[0]["distance"]["high"] == pytest.approx(np.hypot(0.02 + half, 0.04 + half))
    same = frontier([row("real", None, 0.4, 0.3), row("pretrained", Decoding(), 0.4, 0.3)])
    assert same["wording"]["curves"][0]["points"][0]["distance"]["low"] == 0


def test_every_family_begins_with_the_model_as_it_is() -> None:
    both = [row(model, each, 0.4 + i / 50, 0.3) for model in ("pretrained", "finetuned") for i, each in enumerate(GRID)]
    found = frontier(both)["wording"]
    families = {curve["family"]: curve for curve in found["curves"] if curve["model"] == "finetuned"}
    assert len(families) == 4
    assert all(curve["points"][0]["decoding"] == Decoding().model_dump() for curve in families.values())
    assert sorted(len(curve["points"]) for curve in families.values()) == [2, 2, 2, 3]
    pairs = {(each["a"], each["b"]) for each in found["matched"]}
    assert (("pretrained", "likelihood rejection"), ("finetuned", "temperature")) in pairs
    assert (("pretrained", "temperature"), ("pretrained", "min-p")) in pairs
    assert all(a != b for a, b in pairs)


def test_planes_without_figures_are_left_out() -> None:
    assert frontier([]) == {}
    assert frontier([{**row("pretrained", Decoding(), 0.4, 0.3), "metrics": {"bleu_4": about(0.3, 0.1)}}]) == {}
    languages = [
        {
            "model": "pretrained",
            "decoding": each.model_dump(),
            "metrics": {"lm_score": about(5 - i, 0.1), "reverse_lm": about(4 + i, 0.1)},
        }
        for i, each in enumerate(GRID[:2])
    ]
    plane = frontier(languages)["language_models"]
    assert plane["better"] == {"x": "lower", "y": "lower"}
    # From (10, 10): 5 by 6 and 6 by 5, of which 5 by 5 in common.
    assert plane["curves"][0]["hypervolume"]["value"] == pytest.approx(30 + 30 - 25)
