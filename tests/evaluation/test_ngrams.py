"""Kneser–Ney against tables worked by hand and against the formula said with dictionaries; probabilities sum to 1."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gdcore.evaluation.ngrams import FALLBACK, Encoded, KneserNey, Vocabulary, discounts

Texts = list[list[str]]


def words(*texts: str) -> Texts:
    return [text.split() for text in texts]


def probability(train: Texts, order: int, context: str, word: str, vocabulary: Vocabulary | None = None) -> float:
    """p(word | BOS context), of EOS where the word is «.»."""
    vocabulary = vocabulary or Vocabulary(train)
    model = KneserNey(vocabulary.encode(train), vocabulary, order)
    text = [*context.split(), *([] if word == "." else [word])]
    return math.exp(model.logprobs(vocabulary.encode([text]))[len(context.split())])


def test_order_2_by_hand() -> None:
    # «a b», «a». Pairs: BOS a 2; a b, b EOS, a EOS 1 each. None has a count of 3, so D1 = ½ and D2 = 1.
    # Words by what stands before them: a 1 (BOS), b 1 (a), EOS 2 (a, b); of 4 in all ½ + ½ + 1 are taken, and handed on
    # to a, b, EOS and UNK alike: γ = 2/4, and 1/4 of it each.
    unigram = {"a": 0.5 / 4 + 1 / 8, "b": 0.5 / 4 + 1 / 8, ".": 1 / 4 + 1 / 8, "unheard": 1 / 8}
    # After BOS: a kept 2 − 1 of 2, 1 of 2 is handed on. After a: b and EOS keep ½ of 2 each, γ = 1/2.
    # After b: EOS keeps ½ of 1, γ = 1/2. After an unknown word: what the words say by themselves.
    expected = {
        "": {"a": 1 / 2 + unigram["a"] / 2, **{word: unigram[word] / 2 for word in ("b", ".", "unheard")}},
        "a": {
            "a": unigram["a"] / 2,
            "b": 1 / 4 + unigram["b"] / 2,
            ".": 1 / 4 + unigram["."] / 2,
            "unheard": unigram["unheard"] / 2,
        },
        "a b": {".": 1 / 2 + unigram["."] / 2, **{word: unigram[word] / 2 for word in ("a", "b", "unheard")}},
        "unheard": unigram,
    }
    for context, table in expected.items():
        assert sum(table.values()) == pytest.approx(1)
        for word, p in table.items():
            assert probability(words("a b", "a"), 2, context, word) == pytest.approx(p, abs=1e-15), (context, word)


def test_order_3_by_hand() -> None:
    # «a b», «a b», «b a b». Triples: BOS a b 2, a b EOS 3, BOS b a 1, b a b 1. Pairs by what stands before them: a b 2
    # (BOS, b), b EOS 1 (a), b a 1 (BOS); by their number, as they begin texts: BOS a 2, BOS b 1. Words: a 2 (BOS, b),
    # b 2 (BOS, a), EOS 1 (b). No order has all of 1, 2, 3, 4: D = ½, 1, 1½.
    train = words("a b", "a b", "b a b")
    p_a = p_b = (2 - 1) / 5 + 2.5 / 5 / 4
    p_end = (1 - 0.5) / 5 + 2.5 / 5 / 4
    p_b_first = (1 - 0.5) / 3 + 1.5 / 3 * p_b
    p_b_after_a = (2 - 1) / 2 + 1 / 2 * p_b
    p_end_after_b = (1 - 0.5) / 2 + 1 / 2 * p_end
    p_a_after_b = (1 - 0.5) / 2 + 1 / 2 * p_a
    p_a_after_first_b = (1 - 0.5) / 1 + 0.5 * p_a_after_b
    p_b_after_b_a = (1 - 0.5) / 1 + 0.5 * p_b_after_a
    p_end_after_a_b = (3 - 1.5) / 3 + 1.5 / 3 * p_end_after_b
    assert probability(train, 3, "", "b") == pytest.approx(p_b_first, abs=1e-15)
    assert probability(train, 3, "b", "a") == pytest.approx(p_a_after_first_b, abs=1e-15)
    assert probability(train, 3, "b a", "b") == pytest.approx(p_b_after_b_a, abs=1e-15)
    assert probability(train, 3, "b a b", ".") == pytest.approx(p_end_after_a_b, abs=1e-15)
    assert probability(train, 3, "a a", "b") == pytest.approx(p_b_after_a, abs=1e-15)  # «a a» was never seen
    vocabulary = Vocabulary(train)
    nll = KneserNey(vocabulary.encode(train), vocabulary, 3).nll(vocabulary.encode(words("b a b", "")))
    whole_text = p_b_first * p_a_after_first_b * p_b_after_b_a * p_end_after_a_b
    assert nll.numerators_N == pytest.approx([-math.log(whole_text), -math.log(1.5 / 3 * p_end)])
    assert nll.denominators_N.tolist() == [4, 1]


def test_discounts_by_hand() -> None:
    # Four once, two twice, one three and one four times: y = 4 / (4 + 2 · 2) = ½.
    counts = np.array([0, 1, 1, 1, 1, 2, 2, 3, 4, 9])
    assert discounts(counts) == (1 - 2 * 0.5 * 2 / 4, 2 - 3 * 0.5 * 1 / 2, 3 - 4 * 0.5 * 1 / 1)
    assert discounts(np.array([1, 1, 2, 3])) == FALLBACK  # none four times
    assert discounts(np.array([1, 2, 3, 3, 3, 3, 3, 4])) == FALLBACK  # D2 would be below nothing


def plain(train: Texts, vocabulary: set[str], order: int) -> Callable[[tuple[str, ...], str], float]:
    """p(w | h) said word for word: a function of a tuple of words and a word."""
    sentences = [["<s>", *(word if word in vocabulary else "<unk>" for word in text), "</s>"] for text in train]
    raw: Counter[tuple[str, ...]] = Counter()
    before: defaultdict[tuple[str, ...], set[str]] = defaultdict(set)
    for sentence in sentences:
        for n in range(1, order + 1):
            for i in range(len(sentence) - n + 1):
                gram = tuple(sentence[i : i + n])
                raw[gram] += 1
                if i:
                    before[gram].add(sentence[i - 1])
    adjusted = {
        gram: count if len(gram) == order or gram[0] == "<s>" else len(before[gram])
        for gram, count in raw.items()
        if gram != ("<s>",)
    }
    taken = {}
    for n in range(1, order + 1):
        taken[n] = discounts(np.array([count for gram, count in adjusted.items() if len(gram) == n]))

    def p(context: tuple[str, ...], word: str) -> float:
        context = context[-(order - 1) :] if order > 1 else ()
        follow = {gram: count for gram, count in adjusted.items() if gram[:-1] == context}
        shorter = p(context[1:], word) if context else 1 / (len(vocabulary) + 2)
        total = sum(follow.values())
        if not total:
            return shorter
        discount = {gram: taken[len(gram)][min(count, 3) - 1] for gram, count in follow.items()}
        gram = (*context, word)
        kept = (follow[gram] - discount[gram]) / total if gram in follow else 0
        return kept + sum(discount.values()) / total * shorter

    return p


def random_texts(rng: random.Random, number: int, kinds: int, longest: int) -> Texts:
    return [[f"w{int(kinds * rng.random() ** 2)}" for _ in range(rng.randint(0, longest))] for _ in range(number)]


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 10**6), kinds=st.integers(1, 9), number=st.integers(1, 30), order=st.integers(1, 5))
@example(seed=1, kinds=60, number=150, order=3)  # large enough for discounts of its own
def test_it_is_the_formula(seed: int, kinds: int, number: int, order: int) -> None:
    rng = random.Random(seed)
    train, held_out = random_texts(rng, number, kinds, 7), random_texts(rng, 6, kinds + 2, 7)
    known = {f"w{i}" for i in range(0, kinds + 2, 2)}  # half of the words are unknown in both
    vocabulary = Vocabulary([list(known)])
    found = KneserNey(vocabulary.encode(train), vocabulary, order).logprobs(vocabulary.encode(held_out))
    p = plain(train, known, order)
    expected = []
    for text in held_out:
        sentence = ["<s>", *(word if word in known else "<unk>" for word in text), "</s>"]
        expected += [math.log(p(tuple(sentence[:i]), sentence[i])) for i in range(1, len(sentence))]
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("number", [3, 300])
@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_every_distribution_sums_to_one(number: int, order: int) -> None:
    rng = random.Random(number)
    train = random_texts(rng, number, 60, 9)
    pairs = Counter(pair for text in train for pair in pairwise(text))
    # A few texts need the fallback's discounts, many have discounts of their own.
    assert (discounts(np.array(list(pairs.values()))) == FALLBACK) == (number == 3)
    vocabulary = Vocabulary(train)
    model = KneserNey(vocabulary.encode(train), vocabulary, order)
    choices = [*sorted({word for text in train for word in text}), "unheard"]
    contexts = [[], *random_texts(rng, 20, 80, 6), *(text[:4] for text in train[:20])]
    for context in contexts:
        following = model.logprobs(vocabulary.encode([[*context, word] for word in choices]))
        ends = model.logprobs(vocabulary.encode([context]))[-1:]
        at = np.arange(len(choices)) * (len(context) + 2) + len(context)
        assert np.exp(np.concatenate([following[at], ends])).sum() == pytest.approx(1, abs=1e-12), context


def test_some_of_the_texts_are_those_texts() -> None:
    texts = words("a b c", "", "c", "b b")
    vocabulary = Vocabulary(texts)
    chosen = vocabulary.encode(texts).of(np.array([True, False, True, True]))
    for part, alone in zip(chosen, vocabulary.encode([texts[0], *texts[2:]]), strict=True):
        assert part.tolist() == alone.tolist()


@pytest.mark.parametrize("train", [[], [[]], [["unheard"]], [["a"] * 50] * 3])
def test_nothing_is_impossible_whatever_was_learnt(train: Texts) -> None:
    vocabulary = Vocabulary([["a", "b"]])
    nll = KneserNey(vocabulary.encode(train), vocabulary).nll(vocabulary.encode([["a", "b", "zzz"], []]))
    assert np.isfinite(nll.numerators_N).all()
    assert nll.denominators_N.tolist() == [4, 1]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ranks_are_those_of_all_probabilities(order: int) -> None:
    rng = random.Random(order)
    train, held_out = random_texts(rng, 60, 9, 9), random_texts(rng, 15, 12, 9)
    vocabulary = Vocabulary(train)
    model, texts, never = KneserNey(vocabulary.encode(train), vocabulary, order), vocabulary.encode(held_out), [2, 5]
    expected: list[int] = []
    for start, end in pairwise([*np.flatnonzero(texts.place_T == 0), len(texts.tokens_T)]):
        for t in range(start + 1, end):
            before, true = texts.tokens_T[start:t], int(texts.tokens_T[t])
            # Each word in the true one's place: the model is asked once for every word there is.
            rows = [np.append(before, word) for word in range(len(vocabulary))]
            asked = Encoded(np.concatenate(rows), np.repeat(np.arange(len(rows)), len(rows[0])), place(rows))
            p_W = np.exp(model.logprobs(asked)[len(before) - 1 :: len(before)]).round(14)
            p_W[never] = -1
            ahead = (p_W > p_W[true]) | ((p_W == p_W[true]) & (np.arange(len(p_W)) < true))
            expected.append(len(vocabulary) if true in never else int(ahead.sum()))
    assert model.ranks(texts, texts.place_T > 0, never).tolist() == expected
    some_T = (texts.place_T > 0) & (np.arange(len(texts.tokens_T)) % 3 == 0)
    assert model.ranks(texts, some_T, never).tolist() == np.array(expected)[some_T[texts.place_T > 0]].tolist()


def place(rows: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.arange(len(row)) for row in rows])
