"""The exact likelihood of a text under a context-free grammar: the inside algorithm (Baker 1979; Lari & Young 1990).

Rules of three and more symbols become chains of two. Rules of one name are followed any number of times by one matrix,
(I − U)⁻¹ (Stolcke 1995). Texts of one length are worked through together. What a word is most likely to come from is
taken out of the chart and added back in the end, so that probabilities of long texts do not run out of exponent.

Shapes: N texts of T words, W words wide, P places, A names, R rules of two.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore.corpora.exact import Values

Production = tuple[str, Sequence[tuple[str, bool]], float]
"""Left side, right side as (text, is it a word), probability; the first left side begins."""
CELLS = 4_000_000
"""Numbers of a chart's row in hand at a time, which bounds memory."""


class Rules(NamedTuple):
    """A grammar taken apart."""

    start: int
    left_R: NDArray[np.int64]
    right_R: NDArray[np.int64]
    joined_RA: Values
    """Probability that a name comes, by any rules of one and then this rule of two, to its right side."""
    lexical: dict[str, Values]
    """Of each word, the probability (A,) that a name comes to it."""


class Inside:
    """Scores texts under one grammar."""

    def __init__(self, productions: Sequence[Production]) -> None:
        self.productions = productions

    @cached_property
    def rules(self) -> Rules:
        return _taken_apart(self.productions)

    def nll(self, rows: Sequence[Sequence[str]]) -> Values:
        """−log p of each text (N,) in nats; ∞ where the grammar has no derivation of it."""
        nll_N = np.full(len(rows), np.inf)
        by_length: dict[int, list[int]] = {}
        for i, row in enumerate(rows):
            if row and all(word in self.rules.lexical for word in row):
                by_length.setdefault(len(row), []).append(i)
        width = sum(self.rules.joined_RA.shape)
        for length, members in by_length.items():
            at_once = max(1, CELLS // (length * length * width))
            for start in range(0, len(members), at_once):
                some = members[start : start + at_once]
                nll_N[some] = self._nll([rows[i] for i in some])
        return nll_N

    def _nll(self, rows: Sequence[Sequence[str]]) -> Values:
        """Of known words, all texts of one length."""
        words_NTA = np.array([[self.rules.lexical[word] for word in row] for row in rows])
        most_NT = words_NTA.max(axis=2)
        left_R, right_R = self.rules.left_R, self.rules.right_R
        chart = {1: words_NTA / most_NT[:, :, None]}  # by width; (N, P, A)
        length = len(rows[0])
        for width in range(2, length + 1):
            places = length - width + 1
            found_NPR = sum(
                chart[part][:, :places, left_R] * chart[width - part][:, part : part + places, right_R]
                for part in range(1, width)
            )
            chart[width] = found_NPR @ self.rules.joined_RA
        with np.errstate(divide="ignore"):
            return -np.log(chart[length][:, 0, self.rules.start]) - np.log(most_NT).sum(axis=1)


def _taken_apart(productions: Sequence[Production]) -> Rules:
    names: dict[str, int] = {}
    pairs: list[tuple[int, int, int, float]] = []
    units: list[tuple[int, int, float]] = []
    lexical: list[tuple[int, str, float]] = []

    def number(name: str) -> int:
        return names.setdefault(name, len(names))

    def symbol(text: str, is_word: bool) -> int:
        """A name's number; a word between other symbols gets a name of its own, which no rule can write."""
        if not is_word:
            return number(text)
        own = f"'{text}'"
        if own not in names:
            lexical.append((number(own), text, 1.0))
        return names[own]

    for left, right, probability in productions:
        if len(right) == 1:
            (text, is_word) = right[0]
            if is_word:
                lexical.append((number(left), text, probability))
            else:
                units.append((number(left), number(text), probability))
            continue
        above = number(left)
        for i in range(len(right) - 2):
            below = number(f"'{left} {len(names)} {i}'")
            pairs.append((above, symbol(*right[i]), below, probability))
            above, probability = below, 1.0
        pairs.append((above, symbol(*right[-2]), symbol(*right[-1]), probability))

    size = len(names)
    unit_AA = np.zeros((size, size))
    for left, right, probability in units:
        unit_AA[left, right] += probability
    closed_AA = np.linalg.inv(np.eye(size) - unit_AA)
    joined_RA = np.zeros((len(pairs), size))
    for row, (left, _, _, probability) in enumerate(pairs):
        joined_RA[row, left] = probability
    words: dict[str, Values] = {}
    for left, text, probability in lexical:
        words.setdefault(text, np.zeros(size))[left] += probability
    return Rules(
        names[productions[0][0]],
        np.array([pair[1] for pair in pairs], np.int64),
        np.array([pair[2] for pair in pairs], np.int64),
        joined_RA @ closed_AA.T,
        {text: closed_AA @ own_A for text, own_A in words.items()},
    )
