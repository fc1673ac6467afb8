"""Nearest training text and longest shared run, against searches that look at everything."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from gdcore.evaluation.nearest import LIMIT, PART, Library, nearest

Text = Sequence[str]


def edits(a: Text, b: Text) -> int:
    """Edit distance, cell by cell."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def distance(a: Text, b: Text) -> float:
    a, b = a[:LIMIT], b[:LIMIT]
    return edits(a, b) / max(1, len(a), len(b))


def longest_run(a: Text, b: Text) -> int:
    sizes = (size for size in range(min(len(a), len(b)), 0, -1))
    runs = lambda text, size: {tuple(text[i : i + size]) for i in range(len(text) - size + 1)}  # noqa: E731
    return next((size for size in sizes if runs(a, size) & runs(b, size)), 0)


def texts(rng: random.Random, number: int, words: int, longest: int) -> list[list[str]]:
    return [[f"w{rng.randrange(words)}" for _ in range(rng.randint(0, longest))] for _ in range(number)]


@pytest.mark.parametrize("words", [2, 5, 40])
# 60 texts are more than are measured before the bounds decide; 70 units are beyond the limit.
@pytest.mark.parametrize(("number", "longest"), [(1, 3), (5, 12), (60, 3), (60, 12), (20, 70)])
def test_nearest_is_the_nearest(words: int, number: int, longest: int) -> None:
    rng = random.Random(words * 1000 + longest * 10 + number)
    asked, train = texts(rng, 6, words, longest), texts(rng, number, words, longest)
    rows, distances = nearest(asked, train)
    expected = np.array([[distance(a, b) for b in train] for a in asked])
    assert distances == pytest.approx(expected.min(1), abs=0)
    assert rows.tolist() == expected.argmin(1).tolist(), "of several at the same distance the first"


@pytest.mark.parametrize("length", [1, 63, 64])
def test_the_first_and_the_last_bit_of_a_word(length: int) -> None:
    text = [f"w{i}" for i in range(length)]
    for place in (0, length - 1):
        changed = [*text[:place], "other", *text[place + 1 :]]
        assert nearest([changed], [text])[1][0] == 1 / length
        assert nearest([text], [changed])[1][0] == 1 / length
    assert nearest([text], [text])[1][0] == 0


def test_more_candidates_than_are_measured_at_a_time() -> None:
    train = [["a", f"b{i}"] for i in range(PART + 50)]
    rows, distances = nearest([["a", f"b{PART + 49}"], ["a", "c"]], train)
    assert (rows.tolist(), distances.tolist()) == ([PART + 49, 0], [0, 0.5])


def test_nothing_asked_nothing_known_and_no_training_text() -> None:
    assert [part.tolist() for part in nearest([], [["a"]])] == [[], []]
    assert [part.tolist() for part in nearest([[], ["x"]], [["a"]])] == [[0, 0], [1, 1]]
    assert [part.tolist() for part in nearest([[], ["a"]], [["a", "b"], []])] == [[1, 0], [0, 0.5]]
    with pytest.raises(ValueError, match="no training text"):
        nearest([["a"]], [])


@pytest.mark.parametrize("seed", range(12))
def test_the_longest_shared_run(seed: int) -> None:
    rng = random.Random(seed)
    words, longest = rng.choice([2, 5, 40]), rng.choice([3, 12, 30])
    asked, train = texts(rng, 15, words, longest), texts(rng, rng.choice([1, 8]), words, longest)
    found, starts = Library(train).longest(asked)
    assert found.tolist() == [max(longest_run(text, other) for other in train) for text in asked]
    for text, size, start in zip(asked, found, starts, strict=True):
        assert size == 0 or any(longest_run(text[start : start + size], other) == size for other in train)


def test_a_run_does_not_reach_from_one_text_into_the_next() -> None:
    found, _ = Library([["a", "b"], ["c", "d"]]).longest([["a", "b", "c", "d"], ["c"], []])
    assert found.tolist() == [2, 1, 0]
