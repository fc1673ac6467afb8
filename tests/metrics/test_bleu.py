"""BLEU and self-BLEU against NLTK, bit for bit, against values worked by hand, and against common sense."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Mean, SetFigure
from gdcore.metrics import bleu, self_bleu

Texts = list[list[str]]
ORDERS = (2, 3, 4, 5)


def nltk_bleu(references: Texts, hypothesis: list[str], order: int) -> float:
    weights = (1 / order,) * order
    return sentence_bleu(references, hypothesis, weights, SmoothingFunction().method1)


def per_text(samples: Texts, references: Texts, order: int) -> np.ndarray:
    measured = bleu.score(bleu.Config(), Evidence(samples, references))[f"bleu_{order}"]
    assert isinstance(measured, Mean)
    return measured.values_N


def self_bleus(samples: Texts, order: int, size: int | None = None) -> float:
    measured = self_bleu.score(self_bleu.Config(size=size), Evidence(samples, [["x"]]))[f"self_bleu_{order}"]
    assert isinstance(measured, SetFigure)
    return measured.measure(np.arange(len(samples)))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("words", [2, 6, 40])
def test_bleu_is_nltks_to_the_last_bit(random_texts: Callable[..., Texts], seed: int, words: int) -> None:
    samples, references = random_texts(25, seed, words), random_texts(30, seed + 100, words)
    for order in ORDERS:
        expected = [nltk_bleu(references, sample, order) for sample in samples]
        assert per_text(samples, references, order).tolist() == expected


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("words", [2, 6, 40])
def test_self_bleu_is_nltks_with_the_text_itself_left_out(
    random_texts: Callable[..., Texts], seed: int, words: int
) -> None:
    samples = random_texts(25, seed, words)
    for order in ORDERS:
        expected = [nltk_bleu(samples[:i] + samples[i + 1 :], sample, order) for i, sample in enumerate(samples)]
        assert self_bleus(samples, order) == pytest.approx(np.mean(expected), abs=1e-15)


def test_a_value_worked_by_hand() -> None:
    # «a b c d» against «a b x d» and «b c»: unigrams 4/4, bigrams «a b», «b c» 2/3. Lengths are equal: no penalty.
    scores = per_text([list("abcd")], [list("abxd"), list("bc")], 2)
    assert scores[0] == pytest.approx(math.sqrt(4 / 4 * 2 / 3))
    # trigrams: none of two, so 0.1/2 under method 1.
    assert per_text([list("abcd")], [list("abxd"), list("bc")], 3)[0] == pytest.approx((2 / 3 * 0.1 / 2) ** (1 / 3))


def test_repeated_words_count_as_often_as_in_the_one_reference_that_has_most() -> None:
    # «a a a» against «a a b» and «a c c»: two of three, not three, though both references together hold three.
    scores = per_text([list("aaa")], [list("aab"), list("acc")], 2)
    assert scores[0] == pytest.approx(math.sqrt(2 / 3 * 1 / 2))


def test_short_samples_pay_and_of_two_equally_near_lengths_the_shorter_counts() -> None:
    assert per_text([list("ab")], [list("abcd")], 2)[0] == pytest.approx(math.exp(1 - 4 / 2))
    assert per_text([list("abc")], [list("ab"), list("abcd")], 2)[0] == pytest.approx(1.0)


def test_empty_and_foreign_samples_score_nothing() -> None:
    assert per_text([[], ["z"]], [["a"]], 2).tolist() == [0.0, 0.0]


def test_real_text_against_itself_is_best(random_texts: Callable[..., Texts]) -> None:
    texts = [text for text in random_texts(40, 1, longest=14) if len(text) >= 5]
    assert per_text(texts, texts, 5) == pytest.approx(1.0)


def test_the_order_of_texts_does_not_matter(random_texts: Callable[..., Texts]) -> None:
    samples, references = random_texts(30, 3), random_texts(30, 4)
    assert per_text(samples[::-1], references[::-1], 4)[::-1].tolist() == per_text(samples, references, 4).tolist()
    assert self_bleus(samples[::-1], 4) == pytest.approx(self_bleus(samples, 4), abs=1e-15)


def test_shuffled_words_lower_bleu(random_texts: Callable[..., Texts]) -> None:
    references = [[f"w{i + j}" for j in range(8)] for i in range(30)]
    shuffled = [text[::2] + text[1::2] for text in references]
    assert per_text(shuffled, references, 4).mean() < 0.3


def test_copies_raise_self_bleu_to_one() -> None:
    different = [[f"w{8 * i + j}" for j in range(8)] for i in range(20)]
    assert self_bleus(different, 4) == 0
    assert self_bleus(different + different, 4) == 1
    assert self_bleus([list("abcdef")], 4) == 0  # of a single text there are no others


def test_self_bleu_of_a_draw_is_that_of_its_texts_alone(random_texts: Callable[..., Texts]) -> None:
    samples = random_texts(30, 5)
    rows = np.array([3, 17, 8, 21, 0])
    measured = self_bleu.score(self_bleu.Config(), Evidence(samples, [["x"]]))["self_bleu_3"]
    assert isinstance(measured, SetFigure)
    assert measured.measure(rows) == pytest.approx(self_bleus([samples[row] for row in sorted(rows)], 3), abs=1e-12)
