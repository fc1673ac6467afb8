"""Exact n-gram counts of many texts at once, and the BLEU arithmetic on top of them, in numpy.

No n-gram is hashed. The id of an n-gram is the rank of the pair (id of its first n−1 tokens, last token) among the
pairs that occur, so that equal ids mean equal n-grams. One sort per order replaces a dictionary per text.

Shape letters: N texts, T tokens of all texts together, P postings, O orders.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import chain, count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EPSILON = 0.1  # what smoothing method 1 puts in place of zero matches


class Postings(NamedTuple):
    """Which n-gram occurs in which text how often; sorted by n-gram, then by text."""

    gram_P: Ints
    text_P: Ints
    count_P: Ints

    def of(self, chosen_N: Bools) -> "Postings":
        """The postings of some of the texts."""
        return self._at(np.flatnonzero(chosen_N[self.text_P]))

    def shared(self) -> "Postings":
        """Without the n-grams that one text alone holds, which are most of the long ones."""
        sizes = np.diff(self.starts, append=len(self.gram_P))
        return self._at(np.flatnonzero(np.repeat(sizes > 1, sizes)))

    def _at(self, keep: Ints) -> "Postings":
        return Postings(self.gram_P[keep], self.text_P[keep], self.count_P[keep])

    @property
    def starts(self) -> Ints:
        """Where each n-gram's postings begin."""
        return np.flatnonzero(np.diff(self.gram_P, prepend=-1))


class Counts:
    """The n-grams of a list of tokenised texts; each order is counted when first asked for."""

    def __init__(self, texts: Sequence[Sequence[str]]):
        vocabulary: defaultdict[str, int] = defaultdict(count().__next__)
        self.lengths_N: Ints = np.fromiter(map(len, texts), np.int64, len(texts))
        ids = map(vocabulary.__getitem__, chain.from_iterable(texts))
        self.tokens_T: Ints = np.fromiter(ids, np.int64, int(self.lengths_N.sum()))
        self.text_T: Ints = np.repeat(np.arange(len(texts)), self.lengths_N)
        ends_N = np.cumsum(self.lengths_N)
        self._left_T: Ints = np.repeat(ends_N, self.lengths_N) - np.arange(len(self.tokens_T))  # in the text, from here
        self._vocabulary_size = max(1, len(vocabulary))
        self._grams: list[Ints] = [self.tokens_T]
        self._postings: dict[int, Postings] = {}

    def __len__(self) -> int:
        return len(self.lengths_N)

    def grams(self, order: int) -> Ints:
        """The id of the n-gram that begins at each token, shape (T,); −1 where the text is over before it ends."""
        while len(self._grams) < order:
            n = len(self._grams) + 1
            at = np.flatnonzero(self._left_T >= n)
            # Both factors are below 2³¹, so the pair fits an int64.
            pair = self._grams[-1][at] * self._vocabulary_size + self.tokens_T[at + n - 1]
            gram_T = np.full(len(self.tokens_T), -1, np.int64)
            gram_T[at] = np.unique(pair, return_inverse=True)[1]
            self._grams.append(gram_T)
        return self._grams[order - 1]

    def postings(self, order: int) -> Postings:
        if order not in self._postings:
            at = np.flatnonzero(self._left_T >= order)
            num_texts = max(1, len(self))
            pair, count_P = np.unique(self.grams(order)[at] * num_texts + self.text_T[at], return_counts=True)
            self._postings[order] = Postings(*np.divmod(pair, num_texts), count_P)
        return self._postings[order]

    def totals(self, order: int) -> Ints:
        """How many n-grams each text has, shape (N,)."""
        return np.maximum(0, self.lengths_N - order + 1)


def matches(hypotheses: Postings, references: Postings, num_texts: int) -> Ints:
    """Per text, n-grams also found in a reference, each at most as often as in the reference that has it most."""
    if not len(references.gram_P):
        return np.zeros(num_texts, np.int64)
    starts = references.starts
    most_G = np.zeros(1 + max(int(references.gram_P[-1]), int(hypotheses.gram_P.max(initial=0))), np.int64)
    most_G[references.gram_P[starts]] = np.maximum.reduceat(references.count_P, starts)
    return _sum_by_text(hypotheses, np.minimum(hypotheses.count_P, most_G[hypotheses.gram_P]), num_texts)


def matches_among_others(postings: Postings, num_texts: int) -> Ints:
    """Like `matches`, the references of a text being all the other texts.

    Who else has an n-gram most often is its highest count, or the second highest for the text that holds the highest.
    """
    if not len(postings.gram_P):
        return np.zeros(num_texts, np.int64)
    starts = postings.starts
    sizes = np.diff(starts, append=len(postings.gram_P))
    top_P = np.repeat(np.maximum.reduceat(postings.count_P, starts), sizes)
    is_top_P = postings.count_P == top_P
    holders_P = np.repeat(np.add.reduceat(is_top_P.astype(np.int64), starts), sizes)
    second_P = np.repeat(np.maximum.reduceat(np.where(is_top_P, 0, postings.count_P), starts), sizes)
    others_P = np.where(is_top_P & (holders_P == 1), second_P, top_P)
    return _sum_by_text(postings, np.minimum(postings.count_P, others_P), num_texts)


def closest_lengths(lengths_N: Ints, references_R: Ints) -> Ints:
    """Per text, the length of the reference nearest to its own; of two equally near the shorter."""
    known = np.unique(references_R)
    right = np.searchsorted(known, lengths_N).clip(0, len(known) - 1)
    below, above = known[np.maximum(right - 1, 0)], known[right]
    return np.where(np.abs(lengths_N - below) <= np.abs(above - lengths_N), below, above)


def closest_lengths_among_others(lengths_N: Ints) -> Ints:
    """Like `closest_lengths`, the references of a text being all the other texts: only a lone length is affected."""
    known, inverse, count = np.unique(lengths_N, return_inverse=True, return_counts=True)
    closest = known.copy()
    for i in np.flatnonzero(count == 1) if len(known) > 1 else ():
        closest[i] = closest_lengths(known[i : i + 1], np.delete(known, i))[0]
    return closest[inverse]


def bleu(
    matches_NO: Ints, totals_NO: Ints, lengths_N: Ints, closest_N: Ints, orders: Sequence[int], *, exact: bool = True
) -> Floats:
    """Sentence BLEU of each text for each of `orders`, shape (N, len(orders)), smoothing method 1.

    Column o of `matches_NO` and `totals_NO` is for n-grams of order o+1. The same operations in the same order as
    NLTK's `sentence_bleu`, on the C library's log and exp, hence its values to the last bit; `exact=False` leaves the
    last bit to numpy, five times faster. A text that shares no word with its references scores 0, as does an empty one.
    """
    log, exp = (_libm(math.log), _libm(math.exp)) if exact else (np.log, np.exp)
    logs_NO = log(np.where(matches_NO == 0, EPSILON, matches_NO) / np.maximum(1, totals_NO))
    penalties_N = exp(np.minimum(0, 1 - closest_N / np.maximum(1, lengths_N)))
    scores_NB = np.empty((len(lengths_N), len(orders)))
    for column, order in enumerate(orders):
        weighted_NO = (1 / order) * logs_NO[:, :order]
        sums_N = np.array(list(map(math.fsum, weighted_NO.tolist()))) if exact else weighted_NO.sum(1)
        scores_NB[:, column] = penalties_N * exp(sums_N)
    scores_NB[matches_NO[:, 0] == 0] = 0
    return scores_NB


def _libm(function: Callable[[float], float]) -> Callable[[Floats], Floats]:
    """A function of the C library, element by element: numpy's own may differ in the last bit."""
    return lambda values: np.array(list(map(function, values.ravel().tolist()))).reshape(values.shape)


def _sum_by_text(postings: Postings, values_P: Ints, num_texts: int) -> Ints:
    return np.bincount(postings.text_P, values_P, num_texts).astype(np.int64)
