"""Which training text is a text's nearest, and how long a passage it takes over: exact searches in numpy.

Nearest is by edit distance over units (insertions, deletions, substitutions; Levenshtein 1966), divided by the longer
text's length: 0 is a copy, 1 has no unit in its place. The search is exact. A text's distance is at least its longer
length less the units that both hold, so only the candidates whose bound lies below the best distance found are measured;
these all at once, by the bit-parallel recurrence of Myers (1999) in the form of Hyyrö (2003): a text of up to 64 units
is one machine word a candidate.

Shape letters: M training texts, L their longest, N texts asked about, B of them at a time, P pairs, T tokens in a row.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from gdcore.ngram_counts import Bools, Floats, Ints

Words = NDArray[np.uint64]
Texts = Sequence[Sequence[str]]

LIMIT = 64
"""Units from its beginning by which a text is compared: as many as a machine word has bits."""
FIRST = 16
"""Candidates of the lowest bounds that are measured before the others are ruled out."""
CELLS = 1 << 20
"""Entries of the largest table held at a time."""
PAIRS = 1 << 15
"""Pairs measured at a time: their state stays in the cache."""
ONE, NONE, ALL = np.uint64(1), np.uint64(0), np.uint64(2**64 - 1)


def nearest(texts: Texts, train: Texts) -> tuple[Ints, Floats]:
    """Each text's nearest training text: its row (the first of several), and how far it is, from 0 to 1.

    Texts are compared by their first `LIMIT` units. Raises ValueError where there is no training text.
    """
    return Library(train).nearest(texts)


class Library:
    """Training texts, made ready to be looked through for many."""

    def __init__(self, texts: Texts):
        if not len(texts):
            raise ValueError("there is no training text to look through")
        vocabulary: defaultdict[str, int] = defaultdict(count().__next__)
        self.lengths_M: Ints = np.fromiter(map(len, texts), np.int64, len(texts))
        ids = map(vocabulary.__getitem__, chain.from_iterable(texts))
        self.tokens_T: Ints = np.fromiter(ids, np.int64, int(self.lengths_M.sum()))
        self.vocabulary = dict(vocabulary)
        self.starts_M: Ints = np.cumsum(self.lengths_M) - self.lengths_M
        self.text_T: Ints = np.repeat(np.arange(len(texts)), self.lengths_M)
        self._openings: Openings | None = None

    def ids(self, texts: Texts) -> tuple[Ints, Ints]:
        """All tokens in a row, −1 for what no training text holds; and each text's length."""
        lengths_N = np.fromiter(map(len, texts), np.int64, len(texts))
        get = self.vocabulary.get
        return np.fromiter((get(unit, -1) for unit in chain.from_iterable(texts)), np.int64, lengths_N.sum()), lengths_N

    def nearest(self, texts: Texts) -> tuple[Ints, Floats]:
        """As the function of that name."""
        if self._openings is None:
            self._openings = Openings(self)
        tokens_T, lengths_N = self.ids([text[:LIMIT] for text in texts])
        ends = np.cumsum(lengths_N)
        block = max(1, min(64, CELLS // max(len(self.vocabulary), len(self.lengths_M))))
        found = [
            self._openings.nearest(tokens_T[ends[first] - lengths_N[first] : ends[last - 1]], lengths_N[first:last])
            for first in range(0, len(texts), block)
            for last in (min(first + block, len(texts)),)
        ]
        rows, distances = zip(*found, strict=True) if found else ((np.zeros(0, np.int64),), (np.zeros(0),))
        return np.concatenate(rows), np.concatenate(distances)

    def longest(self, texts: Texts) -> tuple[Ints, Ints]:
        """The longest run of units that each text shares with any one training text: how many units, and from which on.

        Runs grow by a unit at a time, and only where both the run and the one that starts a unit later are shared.
        """
        tokens_T, lengths_N = self.ids(texts)
        num = len(tokens_T)
        every_T = np.concatenate([tokens_T, self.tokens_T])
        lengths = np.concatenate([lengths_N, self.lengths_M])
        text_T = np.repeat(np.arange(len(lengths)), lengths)
        left_T = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(every_T))
        longest_N, from_N = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
        starts_N = np.cumsum(lengths_N) - lengths_N
        gram_T, at = every_T.copy(), np.flatnonzero(every_T >= 0)
        size = 1
        while True:
            at = at[_on_both_sides(gram_T[at], at < num)]
            mine = at[at < num][::-1]  # backwards, so that the first of a text's runs is written last
            if not len(mine):
                return longest_N, from_N
            longest_N[text_T[mine]] = size
            from_N[text_T[mine]] = mine - starts_N[text_T[mine]]
            shared_T = np.zeros(len(every_T) + 1, np.bool_)
            shared_T[at] = True
            at = at[(left_T[at] > size) & shared_T[at + 1]]
            pair = gram_T[at] * len(self.vocabulary) + every_T[at + size]
            gram_T[at] = np.unique(pair, return_inverse=True)[1]
            size += 1


def _on_both_sides(gram_P: Ints, mine_P: Bools) -> Bools:
    """Whether each n-gram is among the texts asked about and among the training texts."""
    mine_G, theirs_G = (np.zeros(int(gram_P.max(initial=-1)) + 1, np.bool_) for _ in range(2))
    mine_G[gram_P[mine_P]] = True
    theirs_G[gram_P[~mine_P]] = True
    return (mine_G & theirs_G)[gram_P]


class Openings:
    """The first `LIMIT` units of each training text, longest first, and where each unit occurs."""

    def __init__(self, library: Library):
        lengths_M = np.minimum(library.lengths_M, LIMIT)
        self.order_M = np.argsort(-lengths_M, kind="stable")
        self.lengths_M = lengths_M[self.order_M]
        self.vocabulary_size = max(1, len(library.vocabulary))
        num_texts, longest = len(lengths_M), int(lengths_M.max())
        place = np.empty(num_texts, np.int64)
        place[self.order_M] = np.arange(num_texts)
        position_T = np.arange(len(library.tokens_T)) - library.starts_M[library.text_T]
        kept = np.flatnonzero(position_T < LIMIT)
        token_K, text_K = library.tokens_T[kept], place[library.text_T[kept]]
        self.tokens_LM = np.zeros((longest, num_texts), np.int64)
        self.tokens_LM[position_T[kept], text_K] = token_K
        occurrence_K = _occurrences(token_K, text_K, num_texts)
        # The second «a» of a text is a unit of its own, so that shared units can be counted one by one.
        key_K = token_K * LIMIT + occurrence_K
        self.by_key = text_K[np.argsort(key_K, kind="stable")]
        self.starts_G = np.searchsorted(np.sort(key_K), np.arange(self.vocabulary_size * LIMIT + 1))

    def nearest(self, tokens_T: Ints, lengths_B: Ints) -> tuple[Ints, Floats]:
        """The nearest of each of a few texts, whose tokens stand in a row."""
        num, num_texts = len(lengths_B), len(self.lengths_M)
        text_T = np.repeat(np.arange(num), lengths_B)
        position_T = np.arange(len(tokens_T)) - (np.cumsum(lengths_B) - lengths_B)[text_T]
        known = tokens_T >= 0
        tokens_T, text_T, position_T = tokens_T[known], text_T[known], position_T[known]
        masks_BV = np.zeros((num, self.vocabulary_size), np.uint64)
        np.bitwise_or.at(masks_BV, (text_T, tokens_T), ONE << position_T.astype(np.uint64))
        longer_BM = np.maximum(np.maximum(lengths_B[:, None], self.lengths_M[None, :]), 1)
        bounds_BM = (longer_BM - self._shared(tokens_T, text_T, num)) / longer_BM
        distances_BM = np.full((num, num_texts), np.inf)

        def measure(rows: Ints, columns: Ints) -> None:
            for start in range(0, len(rows), PAIRS):
                row_P, column_P = rows[start : start + PAIRS], columns[start : start + PAIRS]
                edits_P = self._edits(masks_BV, lengths_B, row_P, column_P)
                distances_BM[row_P, column_P] = edits_P / longer_BM[row_P, column_P]

        first = min(FIRST, num_texts)
        columns = np.sort(np.argpartition(bounds_BM, first - 1, axis=1)[:, :first], axis=1)
        # Columns in ascending order: longest texts first, as `_edits` wants them.
        order = np.argsort(columns, axis=None, kind="stable")
        measure(np.repeat(np.arange(num), first)[order], columns.ravel()[order])
        open_BM = (bounds_BM <= distances_BM.min(1)[:, None]) & np.isinf(distances_BM)
        columns, rows = np.nonzero(open_BM.T)
        measure(rows, columns)
        best_B = distances_BM.min(1)
        # Of several at the same distance the first in the user's order.
        ties = np.where(distances_BM == best_B[:, None], self.order_M[None, :], num_texts)
        return ties.min(1), best_B

    def _shared(self, tokens_T: Ints, text_T: Ints, num: int) -> Ints:
        """How many units each of `num` texts has in common with each training text, counting repetitions; (B, M)."""
        num_texts = len(self.lengths_M)
        key_T = tokens_T * LIMIT + _occurrences(tokens_T, text_T, num)
        starts, sizes = self.starts_G[key_T], self.starts_G[key_T + 1] - self.starts_G[key_T]
        offsets = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        cells = np.repeat(text_T, sizes) * num_texts + self.by_key[np.repeat(starts, sizes) + offsets]
        return np.bincount(cells, minlength=num * num_texts).reshape(num, num_texts)

    def _edits(self, masks_BV: Words, lengths_B: Ints, row_P: Ints, column_P: Ints) -> Ints:
        """Edit distance of each pair (row of `masks_BV`, training text); pairs stand by descending training length."""
        masks, offset_P = masks_BV.ravel(), row_P * self.vocabulary_size
        own_P, lengths_P = lengths_B[row_P], self.lengths_M[column_P]
        shift_P = np.maximum(own_P - 1, 0).astype(np.uint64)
        edits_P = own_P.copy()
        plus_P, minus_P = np.full(len(row_P), ALL), np.zeros(len(row_P), np.uint64)
        for position in range(int(lengths_P[0]) if len(lengths_P) else 0):
            longer = slice(0, int(np.searchsorted(-lengths_P, -position)))  # pairs whose training text goes on
            equal = masks[offset_P[longer] + self.tokens_LM[position, column_P[longer]]]
            plus, minus, shift = plus_P[longer], minus_P[longer], shift_P[longer]
            vertical = equal | minus
            horizontal = (((equal & plus) + plus) ^ plus) | equal
            up = minus | ~(horizontal | plus)
            down = plus & horizontal
            edits_P[longer] += ((up >> shift) & ONE).astype(np.int64) - ((down >> shift) & ONE).astype(np.int64)
            up = (up << ONE) | ONE
            plus_P[longer] = (down << ONE) | ~(vertical | up)
            minus_P[longer] = up & vertical
        return np.where(own_P == 0, lengths_P, edits_P)


def _occurrences(token_K: Ints, text_K: Ints, num_texts: int) -> Ints:
    """How often each token has stood in its text before, from 0."""
    pair = token_K * num_texts + text_K
    order = np.argsort(pair, kind="stable")
    sorted_pair = pair[order]
    starts = np.flatnonzero(np.diff(sorted_pair, prepend=-1))
    occurrence = np.empty(len(pair), np.int64)
    occurrence[order] = np.arange(len(pair)) - np.repeat(starts, np.diff(starts, append=len(pair)))
    return occurrence
