"""Metrics of whole sets: distinct-n, unique texts, vocabulary coverage, copy rate, length, held-out NLL."""

import numpy as np
import pytest

from gdcore.evidence import Evidence, Likelihoods, Training, joined
from gdcore.intervals import Ratio, Sampling, figure, figures
from gdcore.metrics import copy_rate, distinct, length, nll, unique, vocabulary_coverage

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
