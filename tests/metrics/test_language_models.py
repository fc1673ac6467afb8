"""LM score, reverse LM score, backward BLEU and entropy: worked by hand, and against what they are made of."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Sampling, SetFigure, Stated, figure
from gdcore.metrics import backward_bleu, bleu, entropy, lm_score, reverse_lm

Texts = list[list[str]]
SAMPLING = Sampling(seed=0, resamples=100, subsamples=10)


def words(*texts: str) -> Texts:
    return [text.split() for text in texts]


def value(measurement: Measurement) -> float:
    return figure(measurement, SAMPLING)["value"]


# The tables of order 2 for the texts «a b», «a», worked in tests/test_ngrams.py:
P_FIRST = {"a": 0.625, "b": 0.125, "unk": 0.0625, "end": 0.1875}
P_AFTER_A = {"a": 0.125, "b": 0.375, "unk": 0.0625, "end": 0.4375}
P_AFTER_B_END = 0.6875
P_END = 0.375


def test_lm_score_by_hand() -> None:
    # «a b»: a first, b after a, the end after b. «zzz»: unknown first, after it the end by itself. «»: the end first.
    found = lm_score.score(lm_score.Config(order=2), Evidence(words("a b", "zzz", ""), words("a b", "a")))
    text = P_FIRST["a"] * P_AFTER_A["b"] * P_AFTER_B_END
    foreign = P_FIRST["unk"] * P_END
    expected = -(math.log(text) + math.log(foreign) + math.log(P_FIRST["end"])) / (3 + 2 + 1)
    assert value(found["lm_score"]) == pytest.approx(expected)


def test_reverse_lm_by_hand() -> None:
    # Trained on «a b», «a»; the references' words are a and b, as in the table.
    found = reverse_lm.score(reverse_lm.Config(order=2), Evidence(words("a b", "a"), words("a", "a a b")))
    one = P_FIRST["a"] * P_AFTER_A["end"]
    other = P_FIRST["a"] * P_AFTER_A["a"] * P_AFTER_A["b"] * P_AFTER_B_END
    assert value(found["reverse_lm"]) == pytest.approx(-(math.log(one) + math.log(other)) / (2 + 4))


def test_a_foreign_vocabulary_does_not_make_the_questions_easier() -> None:
    references = words("a b", "a", "b b a")

    def reverse(samples: Texts) -> float:
        return value(reverse_lm.score(reverse_lm.Config(), Evidence(samples, references))["reverse_lm"])

    # Whatever foreign words a generator uses, they are one word; and what they take is missing elsewhere.
    assert reverse(words("a x", "b y z")) == reverse(words("a x", "b x x"))
    assert reverse(words("a b", "b a", "x y x")) > reverse(words("a b", "b a", "b b a"))


def test_reverse_lm_is_taken_at_its_size(random_texts: Callable[..., Texts]) -> None:
    samples, references = random_texts(600, 1, 30), random_texts(80, 2, 30)

    def reverse(samples: Texts, size: int | None) -> float:
        config = reverse_lm.Config(size=size, draws=6)
        return value(reverse_lm.score(config, Evidence(samples, references))["reverse_lm"])

    assert reverse(samples, 100) == pytest.approx(reverse(samples[:300], 100), abs=0.05)
    assert reverse(samples, None) < reverse(samples, 100) - 0.05  # more samples, a better model


def test_backward_bleu_is_bleu_the_other_way_round(random_texts: Callable[..., Texts]) -> None:
    samples, references = random_texts(40, 1), random_texts(30, 2)
    there = backward_bleu.score(backward_bleu.Config(), Evidence(samples, references))
    back = bleu.score(bleu.Config(), Evidence(references, samples))
    for order in (2, 3, 4, 5):
        assert value(there[f"backward_bleu_{order}"]) == pytest.approx(value(back[f"bleu_{order}"]), abs=1e-12)


def test_backward_bleu_by_hand() -> None:
    # «a b c d» against «a b x d», «b c»: 4 of 4 words, 2 of 3 pairs; «q»: nothing. A text nine times is but that text.
    samples = words("a b x d", "b c")
    found = backward_bleu.score(backward_bleu.Config(orders=(2,)), Evidence(samples, words("a b c d", "q")))
    assert value(found["backward_bleu_2"]) == pytest.approx(math.sqrt(4 / 4 * 2 / 3) / 2)
    found = backward_bleu.score(backward_bleu.Config(orders=(2,)), Evidence(words("q") * 9, words("a b c d", "q q")))
    assert value(found["backward_bleu_2"]) < 0.2


def test_backward_bleu_of_a_set_is_that_of_its_texts_alone(random_texts: Callable[..., Texts]) -> None:
    samples, references = random_texts(40, 1), random_texts(30, 2)
    found = backward_bleu.score(backward_bleu.Config(orders=(3,), size=12), Evidence(samples, references, seed=3))
    rng = np.random.default_rng(3)
    draws = [rng.permutation(40)[:12] for _ in range(20)]
    expected = [
        value(bleu.score(bleu.Config(orders=(3,)), Evidence(references, [samples[row] for row in rows]))["bleu_3"])
        for rows in draws
    ]
    measured = found["backward_bleu_3"]
    assert isinstance(measured, Stated)
    assert measured.value == pytest.approx(np.mean(expected), abs=1e-12)


def test_entropy_by_hand() -> None:
    # «a a b», «a»: a three times of four, b once; pairs aa and ab.
    found = entropy.score(entropy.Config(), Evidence(words("a a b", "a"), words("x")))
    assert value(found["entropy_1"]) == pytest.approx(-(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4)))
    assert value(found["entropy_2"]) == pytest.approx(math.log(2))
    assert value(entropy.score(entropy.Config(), Evidence([["a"], []], words("x")))["entropy_2"]) == 0


def test_entropy_is_taken_on_a_budget_and_keeps_its_limits() -> None:
    texts = [[f"w{4 * i + j}" for j in range(4)] for i in range(50)]  # every word once: as even as can be
    measured = entropy.score(entropy.Config(orders=(1,), budget=40), Evidence(texts, words("x")))["entropy_1"]
    assert isinstance(measured, SetFigure)
    found = figure(measured, SAMPLING)
    assert found["value"] == found["high"] == pytest.approx(math.log(40))
