"""What is read off a generator's likelihoods: bits per byte, perplexity, NLL per text, the train–test gap."""

import math

import numpy as np
import pytest

from gdcore.evaluation.evidence import Evidence, Likelihoods, NextTokens
from gdcore.evaluation.intervals import Figure, Ratio, Sampling, figures
from gdcore.metrics import bits_per_byte, next_word, nll, nll_gap, perplexity

# Two texts: 3 nats over 2 tokens and 4 bytes, 9 nats over 4 tokens and 20 bytes.
HELD_OUT = Ratio(np.array([3.0, 9.0]), np.array([2.0, 4.0]))
BYTES = np.array([4.0, 20.0])
TRAIN = Ratio(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))


def found(metric, likelihoods: Likelihoods | None) -> dict[str, Figure]:
    return figures(metric.score(metric.Config(), Evidence([["a"]], [["a"]], None, likelihoods)), Sampling())


def test_by_hand() -> None:
    likelihoods = Likelihoods(HELD_OUT, BYTES, TRAIN)
    assert found(bits_per_byte, likelihoods)["bits_per_byte"]["value"] == pytest.approx(12 / math.log(2) / 24)
    assert found(perplexity, likelihoods)["perplexity"]["value"] == pytest.approx(math.exp(12 / 6))
    assert found(perplexity, likelihoods)["nll_per_text"]["value"] == pytest.approx(6)
    assert found(nll_gap, likelihoods)["nll_gap"]["value"] == pytest.approx(12 / 6 - 6 / 6)


def test_without_a_generator_nothing_is_said() -> None:
    for metric in (bits_per_byte, perplexity, nll_gap, next_word):
        assert found(metric, None) == {}
    assert found(nll_gap, Likelihoods(HELD_OUT, BYTES)) == {}
    assert found(next_word, Likelihoods(HELD_OUT, BYTES)) == {}, "guesses that depend on noise are none"


def test_next_word_by_hand() -> None:
    # Texts of two and of four tokens. The generator's first guess is right at three of six, five hold five.
    guesses = NextTokens(
        np.array([0, 4, 0, 5, 0, 1]), np.repeat([0, 1], [2, 4]), lambda order: np.array([order, 0, 9, 1, 3, 4])
    )
    likelihoods = Likelihoods(HELD_OUT, BYTES, None, guesses)
    values = {name: each["value"] for name, each in found(next_word, likelihoods).items()}
    # The model beside it, of order 5: one of six, four with five guesses. A word at rank 5 is the sixth guess.
    assert values == {
        "next_word_1": pytest.approx(3 / 6),
        "next_word_5": pytest.approx(5 / 6),
        "next_word_1_ngram": pytest.approx(1 / 6),
        "next_word_5_ngram": pytest.approx(4 / 6),
        "next_word_gain": pytest.approx(2 / 6),
    }


def test_bits_per_byte_do_not_depend_on_the_tokens() -> None:
    finer = Ratio(HELD_OUT.numerators_N, HELD_OUT.denominators_N * 5)
    assert found(bits_per_byte, Likelihoods(finer, BYTES)) == found(bits_per_byte, Likelihoods(HELD_OUT, BYTES))


def test_perplexity_is_the_nll_in_other_words_interval_and_all() -> None:
    rng = np.random.default_rng(0)
    likelihoods = Likelihoods(Ratio(rng.gamma(9, 4, 300), rng.integers(5, 20, 300).astype(float)), np.ones(300))
    nats, tokens = found(nll, likelihoods)["nll"], found(perplexity, likelihoods)["perplexity"]
    assert list(tokens.values()) == pytest.approx([math.exp(each) for each in nats.values()])


def test_a_generator_that_knows_nothing_by_heart_has_no_gap() -> None:
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tokens_2N = rng.integers(5, 20, (2, 100)).astype(float)
        held_out, train = (Ratio(3 * tokens_N + rng.normal(0, 5, 100), tokens_N) for tokens_N in tokens_2N)
        gap = found(nll_gap, Likelihoods(held_out, np.ones(100), train))["nll_gap"]
        covered += gap["low"] <= 0 <= gap["high"]
    assert 35 <= covered <= 40
    by_heart = Ratio(train.numerators_N * 0.8, train.denominators_N)
    assert found(nll_gap, Likelihoods(held_out, np.ones(100), by_heart))["nll_gap"]["low"] > 0.2
