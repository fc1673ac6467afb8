"""Can a classifier tell two lists of texts apart: its AUC by hand, its interval by simulation, its folds by copies."""

import math

import numpy as np
import pytest

from gdcore import plugins
from gdcore.classifiers import linear
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Sampling, figures
from gdcore.evaluation.two_sample import area_under_curve, tell_apart
from gdcore.metrics import c2st

Texts = list[list[str]]


def sentences(number: int, rng: np.random.Generator, favourite: str = "w0", liking: float = 0.0) -> Texts:
    texts = [[f"w{int(80 * rng.random() ** 2)}" for _ in range(rng.integers(2, 9))] for _ in range(number)]
    return [[favourite, *text] if rng.random() < liking else text for text in texts]


def auc(logits, real, fold=None, group=None):
    number = len(logits)
    return area_under_curve(
        np.array(logits, float),
        np.array(real, bool),
        np.zeros(number, np.int64) if fold is None else np.array(fold),
        np.arange(number) if group is None else np.array(group),
    )


def test_auc_by_hand() -> None:
    # Real 3, 1, 1; generated 2, 1, 0: of nine pairs 3>2, 3>1, 3>0, 1>0, 1>0 are right and two are even.
    assert auc([3, 1, 1, 2, 1, 0], [1, 1, 1, 0, 0, 0]).value == pytest.approx((5 + 2 / 2) / 9)
    assert auc([2, 3, 0, 1], [1, 1, 0, 0]).value == 1
    assert auc([0, 1, 2, 3], [1, 1, 0, 0]).value == 0


def test_logits_of_different_folds_are_not_compared() -> None:
    # Right within either fold, though the second fold's generated text is above the first fold's real one.
    assert auc([1, 0, 9, 8], [1, 0, 1, 0], fold=[0, 0, 1, 1]).value == 1
    assert auc([1, 2], [1, 0], fold=[0, 1]) == auc([], [])  # no pair at all: nothing is known
    assert (auc([], []).value, auc([], []).low, auc([], []).high) == (0.5, 0.0, 1.0)


def test_the_variance_is_delongs_doubled() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(1, 1, 40), rng.normal(0, 1, 50)
    wins = (real[:, None] > fake).astype(float)
    delong = wins.mean(1).var() / 40 + wins.mean(0).var() / 50
    found = auc([*real, *fake], [1] * 40 + [0] * 50)
    assert found.value == pytest.approx(wins.mean())
    assert found.high - found.value == pytest.approx(1.959964 * math.sqrt(2 * delong), rel=1e-6)


def test_copies_count_as_one_draw() -> None:
    rng = np.random.default_rng(1)
    logits, real = rng.normal(size=30), np.arange(30) < 15
    once = auc(logits, real)
    four = auc(np.tile(logits, 4), np.tile(real, 4), group=np.tile(np.arange(30), 4))
    assert (four.value, four.low, four.high) == pytest.approx((once.value, once.low, once.high))


def test_perfect_separation_is_not_certainty() -> None:
    found = auc(range(20), np.arange(20) >= 10)
    assert found.value == found.high == 1
    assert 0.7 < found.low < 0.9


@pytest.mark.parametrize("classifier", plugins.names("classifiers"))
def test_a_difference_is_found_and_no_difference_is_not(classifier: str) -> None:
    rng = np.random.default_rng(2)
    real, same, other = sentences(100, rng), sentences(100, rng), sentences(100, rng, "zebra", 0.9)
    found = tell_apart(real, other, classifier, 2, 0)
    assert found.auc.low > 0.6
    # Positive means real: texts with the favourite word are called generated.
    liked = np.array([text[0] == "zebra" for text in found.texts])
    assert found.logits_T[~liked].mean() > found.logits_T[liked].mean()
    assert tell_apart(real, other, classifier, 2, 0).auc == found.auc
    none = tell_apart(real, same, classifier, 2, 0).auc
    assert none.low < 0.5 < none.high


def test_word_order_is_seen() -> None:
    rng = np.random.default_rng(3)
    real = [[f"a{i % 7}", f"b{i % 5}", f"c{i % 3}"] for i in rng.integers(1000, size=200)]
    assert tell_apart(real, [text[::-1] for text in real], "linear", 5, 0).auc.value > 0.95


def test_a_copy_is_judged_and_not_recognised() -> None:
    """Each text is there twice, and nothing but its own words could say whose it is."""
    rng = np.random.default_rng(4)
    real, fake = ([[f"{side}{i}", "x"] for i in range(60)] * 2 for side in "rf")
    found = tell_apart(real, fake, "linear", 5, int(rng.integers(100)))
    assert found.auc.value == 0.5  # all even


@pytest.mark.parametrize(("real", "fake"), [([], []), ([["a"]], [["b"]]), ([["a"]], [[]]), ([["a"]] * 3, [["a"]] * 3)])
def test_too_few_texts_tell_nothing(real: Texts, fake: Texts) -> None:
    found = tell_apart(real, fake, "linear", 5, 0).auc
    assert found.low <= 0.5 <= found.high


def test_the_penalised_likelihood_is_at_its_maximum() -> None:
    """Its gradient, by small steps of our own, is next to nothing at the weights found."""
    rng = np.random.default_rng(5)
    rows, num_grams = linear.features([*sentences(40, rng), *sentences(40, rng, liking=0.9)])
    sign = np.repeat([1.0, -1.0], 40)
    weights = linear.fit(rows, num_grams, sign)

    def loss(at: np.ndarray) -> float:
        return float(np.log1p(np.exp(-sign * (rows @ at))).sum() + linear.PENALTY / 2 * (at[:-1] ** 2).sum())

    for column in (0, 5, num_grams - 1):
        step = np.zeros(num_grams)
        step[column] = 1e-3
        assert abs(loss(weights + step) - loss(weights - step)) / 2e-3 < 0.05


def coverage(runs: int, number: int) -> float:
    """In how many runs of real against real the interval holds .5."""
    rng = np.random.default_rng(6)
    found = [tell_apart(sentences(number, rng), sentences(number, rng), "linear", 5, run).auc for run in range(runs)]
    return float(np.mean([each.low <= 0.5 <= each.high for each in found]))


def test_the_interval_of_real_against_real_holds_one_half() -> None:
    assert coverage(30, 60) >= 0.86


@pytest.mark.slow
def test_the_interval_of_real_against_real_holds_one_half_as_often_as_it_says() -> None:
    assert 0.92 <= coverage(400, 200) <= 0.985


def test_exhibits_show_what_tells() -> None:
    rng = np.random.default_rng(7)
    evidence = Evidence(sentences(120, rng, "zebra", 0.8), sentences(120, rng))
    config = c2st.Config(shown=3)
    found = figures(c2st.score(config, evidence), Sampling())["c2st_auc"]
    assert found["low"] > 0.6
    shown = {exhibit["title"]: exhibit["rows"] for exhibit in c2st.exhibits(config, evidence)}
    assert all(text.startswith("zebra") for text, _ in shown["Told as generated"])
    assert not any("zebra" in text for text, _ in shown["Taken for real"])
    wording, real, fake = shown["Wording that tells samples"][0]
    assert (wording, real) == ("zebra", 0)
    assert fake == sum(text[0] == "zebra" for text in evidence.samples)
    probabilities = [probability for _, probability in shown["Told as generated"]]
    assert probabilities == sorted(probabilities)
    assert probabilities[-1] < 0.5
