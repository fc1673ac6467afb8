"""Lengths, repetition, unknown words and punctuation, worked by hand."""

import numpy as np
import pytest

from gdcore.evaluation.evidence import Evidence, Training, joined
from gdcore.evaluation.intervals import Figure, Sampling, figures
from gdcore.metrics import length_distance, punctuation, repetition, unk_rate
from gdcore.metrics.length_distance import wasserstein

Texts = list[list[str]]


def words(*texts: str) -> Texts:
    return [text.split() for text in texts]


def found(metric, samples: Texts, references: Texts, train: Texts | None = None) -> dict[str, Figure]:
    training = None if train is None else Training(frozenset(joined(train)), train)
    return figures(metric.score(metric.Config(), Evidence(samples, references, training)), Sampling(subsamples=6))


def test_wasserstein_by_hand() -> None:
    assert wasserstein(np.array([3, 5]), np.array([5, 3])) == 0
    assert wasserstein(np.array([2]), np.array([5])) == 3
    # 1, 1, 4 to 2, 2: each moves by 1, 1 and 2.
    assert wasserstein(np.array([1, 1, 4]), np.array([2, 2])) == pytest.approx(4 / 3)
    # The same mean, and yet two words away: all texts became alike.
    assert wasserstein(np.array([4, 4]), np.array([2, 6])) == 2


def test_length_distance_and_what_real_text_keeps_from_real_text() -> None:
    figures = found(length_distance, words("a b", "a b c"), words("a b c", "a b c", "a b c", "a b c"))
    assert figures["length_distance"]["value"] == 0.5
    assert figures["length_distance_floor"]["value"] == 0
    assert list(found(length_distance, words("a"), words("a b"))) == ["length_distance"]  # of one text, no halves
    rng = np.random.default_rng(0)
    samples, references = ([["w"] * length for length in rng.poisson(10, 800)] for _ in range(2))
    both = found(length_distance, samples, references)
    assert both["length_distance"]["value"] < 3 * both["length_distance_floor"]["value"]


def test_repetition_by_hand() -> None:
    # «a b a b a»: pairs ab ba ab ba, two of four had been; «c c c»: cc cc, one of two; «d»: no pair, counts as one.
    figures = found(repetition, words("a b a b a", "c c c", "d"), words("x"))
    assert figures["repetition_2"]["value"] == pytest.approx((2 + 1) / (4 + 2 + 1))
    # Fours: abab, baba, both new; the short texts count as one each.
    assert figures["repetition_4"]["value"] == 0
    assert figures["immediate_repeats"]["value"] == pytest.approx(2 / (4 + 2 + 1))


def test_texts_do_not_repeat_one_another_here() -> None:
    figures = found(repetition, words("a", "a", "", "a b", "b a b c d"), words("x"))
    assert {figure["value"] for figure in figures.values()} == {0}


def test_unknown_words_by_hand() -> None:
    samples, references = words("a b q q", "c t", ""), words("a b", "a c c", "a b d")
    figures = found(unk_rate, samples, references, words("t a"))
    assert figures["unk_rate"]["value"] == pytest.approx(3 / (4 + 2 + 1))  # q, q, t; the empty text counts as one word
    assert figures["invented_rate"]["value"] == pytest.approx(2 / (4 + 2 + 1))  # q, q: t is known from training
    assert figures["unk_rate_floor"]["value"] == pytest.approx(3 / (2 + 3 + 3))  # c, c and d stand in one text each
    assert "invented_rate" not in found(unk_rate, samples, references)


def test_a_written_unk_is_seen_however_it_was_cut() -> None:
    samples = [["a", "<unk>"], ["<", "unk", ">", "b"], ["[", "UNK", "]"], ["<", "u", "n", "k", ">"], ["unk", "b"], []]
    assert found(unk_rate, samples, words("a"))["literal_unk"]["value"] == 4 / 6


def test_punctuation_by_hand() -> None:
    figures = found(punctuation, words("a , b .", "a b", ""), words("a .", "b ! ?", "c", "d €"))
    assert figures["punctuation"]["value"] == pytest.approx(2 / (4 + 2 + 1))
    assert figures["punctuation_gap"]["value"] == pytest.approx(2 / 7 - 4 / 8)
    assert figures["terminal_punctuation"]["value"] == 1 / 3
    assert figures["terminal_punctuation_gap"]["value"] == pytest.approx(1 / 3 - 3 / 4)
    # An apostrophe inside a word, a digit, a foreign letter are none; a full stop of another script is.
    signs = found(punctuation, words("it's 2 二 。"), words("a"))
    assert signs["punctuation"]["value"] == 1 / 4
