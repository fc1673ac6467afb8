"""Two results: the right test for each metric, verdicts by it, nearness to real text, seeds as what varies."""

import numpy as np
import pytest

from gdcore.evaluation.comparison import MANY, SEEDS, compare, compare_seeds, contrast, judged, nearer, settle, summary
from gdcore.evaluation.intervals import Figure, Ratio, Sampling, figure


def about(value: float, half: float = 0.01) -> Figure:
    return {"value": value, "low": value - half, "high": value + half}


def one(metric: str, a: Figure, b: Figure, **options: object):
    return judged([contrast(metric, a, b, samples=1000, **options)])[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("better", "a", "b", "verdict"),
    [
        ("higher", 0.30, 0.40, "better"),
        ("higher", 0.40, 0.30, "worse"),
        ("lower", 0.30, 0.40, "worse"),
        ("lower", 0.40, 0.30, "better"),
        ("lower", 0.30, 0.301, "no difference"),
        ("real", 0.30, 0.34, "better"),
        ("real", 0.34, 0.30, "worse"),
        ("real", 0.34, 0.48, "worse"),
        ("real", 0.60, 0.40, "better"),
        ("real", 0.30, 0.401, "no difference"),
    ],
)
def test_verdicts(better: str, a: float, b: float, verdict: str) -> None:
    """Real text has .35; what lies above it is no better for that."""
    real = about(0.35) if better == "real" else None
    found = one("bleu_4", about(a), about(b), better=better, real=real)
    assert found["verdict"] == verdict
    assert found["difference"]["value"] == pytest.approx(b - a)
    if verdict != "no difference":
        assert (found["gain"]["value"] > 0) == (verdict == "better")


def test_on_one_side_of_real_text_its_own_error_cancels() -> None:
    gain, p = nearer(about(0.2), about(0.25), about(0.9, 0.2))
    assert gain["value"] == pytest.approx(0.05)
    assert gain["high"] - gain["value"] == pytest.approx(0.01 * np.sqrt(2))
    assert p < 1e-6


def test_on_both_sides_of_real_text_it_counts_twice() -> None:
    gain, _ = nearer(about(0.2), about(0.6), about(0.5))
    assert gain["value"] == pytest.approx(0.3 - 0.1)
    assert gain["high"] - gain["value"] == pytest.approx(0.01 * np.sqrt(1 + 1 + 4))


def test_where_the_side_is_not_known_the_doubt_is_kept() -> None:
    """Both lie on real text to within their errors: neither is nearer, whatever the point estimates say."""
    gain, p = nearer(about(0.515, 0.02), about(0.5, 0.02), about(0.5, 0.02))
    assert gain["low"] < 0 < gain["value"]
    assert p > 0.05


@pytest.mark.parametrize("truths", [(0.45, 0.55), (0.5, 0.5), (0.52, 0.48)])
def test_equally_near_texts_are_called_different_in_at_most_five_per_cent(truths: tuple[float, float]) -> None:
    rng = np.random.default_rng(2)
    wrong = 0
    for _ in range(1500):
        a, b, real = (about(rng.normal(truth, 0.01), 0.0196) for truth in (*truths, 0.5))
        wrong += nearer(a, b, real)[1] < 0.05
    assert wrong / 1500 < 0.065


def test_likelihoods_of_the_same_texts_are_compared_text_by_text() -> None:
    rng = np.random.default_rng(3)
    tokens, hard = rng.integers(5, 15, 400).astype(float), rng.normal(60, 25, 400)
    sides = Ratio(hard, tokens), Ratio(hard - tokens * 0.02 + rng.normal(0, 0.2, 400), tokens)
    a, b = ({"nll": figure(each, Sampling())} for each in sides)
    paired = compare(a, b, samples=9, paired={"nll": sides})[0]
    assert (paired["verdict"], paired["unit"], paired["number"]) == ("better", "texts", 400)
    assert paired["gain"]["value"] == pytest.approx(0.02, abs=0.005)
    apart = compare(a, b, samples=9)[0]
    assert (apart["verdict"], apart["unit"], apart["number"]) == ("no difference", "samples", 9)


def test_a_family_is_corrected_and_only_what_has_a_better_side_belongs_to_it() -> None:
    names = ("nll", "bleu_4", "self_bleu_4", "copy_rate", "copy_rate_floor", "perplexity", "unheard_of")
    a, b = dict.fromkeys(names, about(0.3)), dict.fromkeys(names, about(0.3))
    b["nll"] = about(0.3 - 0.0161)  # p = .026 by itself
    real = dict.fromkeys(names, about(0.35))
    found = compare(a, b, samples=500, real=real)
    assert [each["metric"] for each in found] == ["nll", "bleu_4", "self_bleu_4", "copy_rate"]
    assert found[0]["p"] < 0.05 < found[0]["p_holm"] == pytest.approx(4 * found[0]["p"])
    assert found[0]["verdict"] == "no difference"
    assert compare(a, b, samples=500, metrics=["nll"])[0]["verdict"] == "better"
    assert [each["metric"] for each in compare(a, b, samples=500)] == ["nll", "copy_rate"], "no real text, no aim"
    with pytest.raises(ValueError, match="figure for real text is needed"):
        contrast("bleu_4", a["bleu_4"], b["bleu_4"], better="real")


def test_what_would_settle_it() -> None:
    small = one("nll", about(0.30), about(0.309), better="lower")
    assert small["needed"] == pytest.approx(1000 * (2.8016 / (0.009 / (0.01 * np.sqrt(2) / 1.96))) ** 2, rel=0.01)
    assert "about 5,100 samples" in settle(small)
    assert settle(one("nll", about(0.30), about(0.40), better="lower")) == ""
    assert "more than a million samples" in settle(one("nll", about(0.30), about(0.30), better="lower"))
    nearly = one("nll", about(0.30), about(0.30001), better="lower")
    assert nearly["needed"] is not None
    assert nearly["needed"] > MANY
    assert "more than a million samples" in settle(nearly)


def seeds(values: list[float]) -> list[dict[str, Figure]]:
    return [{"nll": about(value, 0.5)} for value in values]


def test_across_seeds_by_hand() -> None:
    """Gains .1 .2 .3: mean .2, standard error .1/√3, t = 3.4641 with two degrees of freedom: p = .0742."""
    found = compare_seeds(seeds([1.0, 2.0, 3.0]), seeds([0.9, 1.8, 2.7]), [{}] * 3)[0]
    assert found["test"] == SEEDS
    assert found["by_seed"] == pytest.approx([0.1, 0.2, 0.3])  # type: ignore[arg-type]
    assert found["gain"]["value"] == pytest.approx(0.2)
    assert found["gain"]["high"] - 0.2 == pytest.approx(4.3027 * 0.1 / np.sqrt(3), abs=1e-4)
    assert found["p"] == pytest.approx(0.0742, abs=1e-4)
    assert found["verdict"] == "no difference"
    assert " seeds" in settle(found)
    assert compare_seeds(seeds([1, 2, 3, 4]), seeds([0.8, 1.81, 2.79, 3.8]), [{}] * 4)[0]["verdict"] == "better"
    assert compare_seeds(seeds([1, 2]), seeds([1, 2]), [{}] * 2)[0]["p"] == 1


def test_in_words() -> None:
    a, b = {"nll": about(0.3), "copy_rate": about(0.1)}, {"nll": about(0.2), "copy_rate": about(0.1)}
    said = summary(compare(a, b, samples=100), "one", "two")
    assert said.startswith("two, held against one, is better on held-out NLL. On the other 1 there is no difference")
    assert "on any of 2 metrics" in summary(compare(a, a, samples=100))
