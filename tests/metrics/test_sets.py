"""Metrics of whole sets: distinct-n, unique texts, vocabulary coverage, copy rate, length, held-out NLL."""

import numpy as np
import pytest

from gdcore.evaluation.evidence import Evidence, Likelihoods, Training, joined
from gdcore.evaluation.intervals import Mean, Ratio, Sampling, figure, figures
from gdcore.metrics import (
    copy_rate,
    distinct,
    exact_match,
    length,
    longest_copy,
    nearest,
    nll,
    unique,
    vocabulary_coverage,
)

SAMPLING = Sampling(seed=0, resamples=200, subsamples=10)


def words(*texts: str) -> list[list[str]]:
    return [text.split() for text in texts]


def test_distinct_counts_by_hand() -> None:
    # «a b a b», «a b»: 6 words, 2 different; 4 bigrams (ab ba ab, ab), 2 different; 2 trigrams, both different.
    found = figures(distinct.score(distinct.Config(), Evidence(words("a b a b", "a b"), words("x"))), SAMPLING)
    assert found["distinct_1"]["value"] == pytest.approx(2 / 6)
    assert found["distinct_2"]["value"] == pytest.approx(2 / 4)
    assert found["distinct_3"]["value"] == pytest.approx(2 / 2)
    assert found["distinct_4"]["value"] == pytest.approx(1 / 1)


def test_distinct_does_not_depend_on_how_many_samples_there_are() -> None:
    rng = np.random.default_rng(0)
    texts = [[f"w{word}" for word in rng.integers(300, size=10)] for _ in range(4000)]
    config = distinct.Config(budget=2000)
    few, many = (
        figures(distinct.score(config, Evidence(texts[:number], words("x"))), SAMPLING)["distinct_2"]["value"]
        for number in (400, 4000)
    )
    assert few == pytest.approx(many, abs=0.01)


def test_distinct_never_exceeds_its_budget() -> None:
    texts = [["a"] * 7 for _ in range(50)]
    measured = distinct.score(distinct.Config(orders=(1,), budget=20), Evidence(texts, words("x")))["distinct_1"]
    assert figure(measured, SAMPLING)["value"] == pytest.approx(1 / 14)  # two texts of seven fit, a third would not


def test_unique_by_hand_and_no_copy_seen_is_no_proof_of_none() -> None:
    found = figure(
        unique.score(unique.Config(), Evidence(words("a b", "a b", "c", "d"), words("x")))["unique"], SAMPLING
    )
    assert found["value"] == 3 / 4
    all_different = Evidence([[f"w{i}"] for i in range(100)], words("x"))
    found = figure(unique.score(unique.Config(), all_different)["unique"], SAMPLING)
    assert found["value"] == found["high"] == 1
    assert 0.95 < found["low"] < 0.97


def test_unique_is_taken_at_its_size() -> None:
    texts = [[f"w{i % 500}"] for i in range(1000)]  # everything twice, and rarely so among any hundred
    found = figure(unique.score(unique.Config(size=100), Evidence(texts, words("x")))["unique"], SAMPLING)
    assert 0.93 < found["value"] < 0.99


def test_copies_of_training_text_and_the_floor_of_real_text() -> None:
    evidence = Evidence(
        words("a b", "a c", "c"),
        words("a b", "z"),
        Training(frozenset(joined(words("a b", "c", "d"))), words("a b", "c", "d")),
    )
    found = figures(copy_rate.score(copy_rate.Config(), evidence), SAMPLING)
    assert found["copy_rate"]["value"] == pytest.approx(2 / 3)
    assert found["copy_rate_floor"]["value"] == pytest.approx(1 / 2)
    assert copy_rate.score(copy_rate.Config(), Evidence(words("a"), words("a"))) == {}


def memorised(samples: list[str], references: list[str], train: list[str]) -> Evidence:
    known = words(*train)
    return Evidence(words(*samples), words(*references), Training(frozenset(joined(known)), known))


def test_nearest_and_longest_copies_by_hand() -> None:
    # «an old cat x» is one of four words from «an old cat sat», and holds its «an old cat»; «sat e» has but «sat».
    evidence = memorised(["an old cat x", "an old cat sat"], ["sat e"], ["an old cat sat", "q r s t u"])
    found = figures(nearest.score(nearest.Config(), evidence), SAMPLING)
    assert found["nearest"]["value"] == (1 / 4 + 0) / 2
    assert found["nearest_floor"]["value"] == 1.0  # four edits of four
    found = figures(longest_copy.score(longest_copy.Config(), evidence), SAMPLING)
    assert found["longest_copy"]["value"] == (3 + 4) / 2
    assert found["longest_copy_share"]["value"] == (3 / 4 + 4 / 4) / 2
    assert (found["longest_copy_floor"]["value"], found["longest_copy_share_floor"]["value"]) == (1, 1 / 2)
    pairs = nearest.exhibits(nearest.Config(shown=1), evidence)[0]
    assert pairs["rows"] == [[0.0, "an old cat sat", "an old cat sat"]]
    passages = longest_copy.exhibits(longest_copy.Config(), evidence)[0]
    assert passages["rows"] == [[4, "an old cat sat", "an old cat sat"], [3, "an old cat", "an old cat x"]]


def test_without_training_text_nothing_is_said_of_copies() -> None:
    assert copy_rate.score(copy_rate.Config(), Evidence(words("a"), words("a"), None)) == {}
    for metric in (longest_copy, nearest):
        for train in (None, Training(frozenset(), [])):
            evidence = Evidence(words("a"), words("a"), train)
            assert metric.score(metric.Config(), evidence) == {}
            assert metric.exhibits(metric.Config(), evidence) == []


def test_a_word_exchanged_hides_a_copy_from_the_copy_rate_and_not_from_the_others() -> None:
    rng = np.random.default_rng(0)
    train = [[f"w{word}" for word in rng.integers(500, size=12)] for _ in range(200)]
    near = [[*text[:6], "x", *text[7:]] for text in train[:50]]
    far = [[f"w{word}" for word in rng.integers(500, size=12)] for _ in range(50)]
    evidence = Evidence(near, far, Training(frozenset(joined(train)), train))
    assert figures(copy_rate.score(copy_rate.Config(), evidence), SAMPLING)["copy_rate"]["value"] == 0
    found = figures(nearest.score(nearest.Config(), evidence), SAMPLING)
    assert found["nearest"]["high"] < 0.1 < 0.7 < found["nearest_floor"]["low"]
    found = figures(longest_copy.score(longest_copy.Config(), evidence), SAMPLING)
    assert found["longest_copy"]["value"] == 6
    assert found["longest_copy_floor"]["high"] < 2


def test_nearest_looks_at_as_many_texts_as_its_budget_holds() -> None:
    evidence = Evidence(words(*["a b c d"] * 9), words("a"), Training(frozenset(), words("a b c d")))
    measured = nearest.score(nearest.Config(budget=10), evidence)["nearest"]
    assert isinstance(measured, Mean)
    assert len(measured.values_N) == 2
    measured = nearest.score(nearest.Config(budget=1), evidence)["nearest"]
    assert isinstance(measured, Mean)
    assert len(measured.values_N) == 1


def test_units_do_not_run_together() -> None:
    assert joined([["a b"]]) != joined([["a", "b"]])


def test_vocabulary_coverage_by_hand() -> None:
    evidence = Evidence(words("a b q q", "b"), words("a b c", "d a"))
    found = vocabulary_coverage.score(vocabulary_coverage.Config(), evidence)["vocabulary_coverage"]
    assert figure(found, SAMPLING)["value"] == 2 / 4


def test_length_counts_empty_texts() -> None:
    found = length.score(length.Config(), Evidence(words("a b c", ""), words("x")))["length"]
    assert figure(found, SAMPLING)["value"] == 1.5


def test_nll_weighs_texts_by_their_tokens() -> None:
    ratio = Ratio(np.array([2.0, 30.0]), np.array([1.0, 10.0]))
    assert (
        figure(
            nll.score(nll.Config(), Evidence(words("a"), words("a"), likelihoods=Likelihoods(ratio, np.ones(2))))[
                "nll"
            ],
            SAMPLING,
        )["value"]
        == 32 / 11
    )
    assert nll.score(nll.Config(), Evidence(words("a"), words("a"))) == {}


def test_exact_match_by_hand() -> None:
    samples, answers = words("a b", "c", "", "b"), [words("a b"), words("a", "c"), words("c"), words("a", "b b")]
    train = Training(frozenset(), words("a", "c", "c", "a", "b"))
    found = figures(
        exact_match.score(exact_match.Config(), Evidence(samples, words("x"), train, answers=answers)), SAMPLING
    )
    assert found["exact_match"]["value"] == 2 / 4, "any of several answers will do"
    assert found["exact_match_floor"]["value"] == 2 / 4, "«a» and «c» are as frequent; «a» answers the 2nd and the 4th"
    assert exact_match.score(exact_match.Config(), Evidence(samples, words("x"), train)) == {}
    assert list(exact_match.score(exact_match.Config(), Evidence(samples, words("x"), answers=answers))) == [
        "exact_match"
    ]
