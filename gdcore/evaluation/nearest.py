"""Which training text is a text's nearest, and how long a passage it takes over: exact searches in numpy.

Nearest is by edit distance over units (insertions, deletions, substitutions; Levenshtein 1966), divided by the longer
text's length: 0 is a copy, 1 has no unit in its place. The search is exact. A text's distance is at least its longer
length less the units that both hold, so only candidates whose bound is not above the best distance found are measured;
thousands at a time, by the bit-parallel recurrence of Myers (1999) in the form of Hyyrö (2003): a text of up to 64
units is one machine word a candidate.

Shape letters: M training texts, L the units of the longest, N texts asked about, K units of one, P candidates, V words.
"""

from collections import defaultdict
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from gdcore.evaluation.evidence import Evidence, Texts
from gdcore.evaluation.ngram_counts import Bools, Floats, Ints

Words = NDArray[np.uint64]

LIMIT = 64
"""Units from its beginning by which a text is compared: as many as a machine word has bits."""
FIRST = 16
"""Candidates of the lowest bounds that are measured before the others are ruled out."""
PART = 1 << 13
"""Candidates measured at a time: their state stays in the cache."""
ONE, ALL = np.uint64(1), np.uint64(2**64 - 1)


def nearest(texts: Texts, train: Texts) -> tuple[Ints, Floats]:
    """Each text's nearest training text: its row (the first of several), and how far it is, from 0 to 1.

    Texts are compared by their first `LIMIT` units. Raises ValueError where there is no training text.
    """
    return Library(train).nearest(texts)


def library(evidence: Evidence) -> "Library":
    """The training texts of an evaluation, made ready once for all its metrics and sets of samples."""
    assert evidence.train is not None
    texts = evidence.train.texts
    return evidence.once("library of training texts", lambda: Library(texts))


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
        rows_N, distances_N = np.zeros(len(texts), np.int64), np.zeros(len(texts))
        known: dict[bytes, tuple[int, float]] = {}  # a collapsed generator repeats itself
        for row, tokens_K in enumerate(np.split(tokens_T, np.cumsum(lengths_N)[:-1]) if len(texts) else ()):
            key = tokens_K.tobytes()
            if key not in known:
                known[key] = self._openings.nearest(tokens_K)
            rows_N[row], distances_N[row] = known[key]
        return rows_N, distances_N

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

    def nearest(self, tokens_K: Ints) -> tuple[int, float]:
        """The training text nearest to one text of K tokens (−1: unknown to them all), and its distance."""
        longer_M = np.maximum(np.maximum(len(tokens_K), self.lengths_M), 1)
        bounds_M = (longer_M - self._shared(tokens_K)) / longer_M
        distances_M = np.full(len(bounds_M), np.inf)
        known = np.flatnonzero(tokens_K >= 0)
        masks_V = np.zeros(self.vocabulary_size, np.uint64)
        np.bitwise_or.at(masks_V, tokens_K[known], ONE << known.astype(np.uint64))

        def measure(columns: Ints) -> float:
            for start in range(0, len(columns), PART):
                part = columns[start : start + PART]
                distances_M[part] = self._edits(masks_V, len(tokens_K), part) / longer_M[part]
            return float(distances_M.min())

        if len(bounds_M) > FIRST:
            best = measure(np.sort(np.argpartition(bounds_M, FIRST)[:FIRST]))
            best = measure(np.flatnonzero((bounds_M <= best) & np.isinf(distances_M)))
        else:
            best = measure(np.arange(len(bounds_M)))
        return int(self.order_M[distances_M == best].min()), best

    def _shared(self, tokens_K: Ints) -> Ints:
        """How many units a text has in common with each training text, counting repetitions; shape (M,)."""
        known = tokens_K[tokens_K >= 0]
        keys = known * LIMIT + _occurrences(known, np.zeros(len(known), np.int64), 1)
        holders = [self.by_key[self.starts_G[key] : self.starts_G[key + 1]] for key in keys]
        return np.bincount(np.concatenate([np.zeros(0, np.int64), *holders]), minlength=len(self.lengths_M))

    def _edits(self, masks_V: Words, length: int, columns: Ints) -> Ints:
        """Edit distance of a text of `length` units to some training texts, which stand by descending length.

        Bit i of `masks_V[v]` says that unit i of the text is v. Bit i of `plus` (`minus`) says that the distance grows
        (falls) by one from i to i + 1 units of the text, against what has been read of each training text.
        """
        lengths_P = self.lengths_M[columns]
        if length == 0 or not len(columns):
            return lengths_P
        edits_P, last = np.full(len(columns), length), np.uint64(length - 1)
        plus_P, minus_P = np.full(len(columns), ALL), np.zeros(len(columns), np.uint64)
        vertical_P, horizontal_P, up_P, bit_P = (np.empty(len(columns), np.uint64) for _ in range(4))
        going_on_L = np.searchsorted(-lengths_P, -np.arange(lengths_P[0]))  # texts longer than so many units
        for position, num in enumerate(going_on_L.tolist()):
            plus, minus, edits = plus_P[:num], minus_P[:num], edits_P[:num]
            vertical, horizontal, up, bit = vertical_P[:num], horizontal_P[:num], up_P[:num], bit_P[:num]
            np.take(masks_V, self.tokens_LM[position].take(columns[:num]), out=vertical, mode="clip")
            np.bitwise_and(vertical, plus, out=horizontal)
            horizontal += plus
            horizontal ^= plus
            horizontal |= vertical
            vertical |= minus
            np.bitwise_or(horizontal, plus, out=up)
            np.invert(up, out=up)
            up |= minus
            horizontal &= plus  # from here on: where the distance falls with the unit just read
            for sign, change in ((1, up), (-1, horizontal)):
                np.right_shift(change, last, out=bit)
                bit &= ONE
                edits += sign * bit.view(np.int64)
                change <<= ONE
            up |= ONE
            np.bitwise_and(up, vertical, out=minus)
            vertical |= up
            np.invert(vertical, out=vertical)
            np.bitwise_or(horizontal, vertical, out=plus)
        return edits_P


def _occurrences(token_K: Ints, text_K: Ints, num_texts: int) -> Ints:
    """How often each token has stood in its text before, from 0."""
    pair = token_K * num_texts + text_K
    order = np.argsort(pair, kind="stable")
    sorted_pair = pair[order]
    starts = np.flatnonzero(np.diff(sorted_pair, prepend=-1))
    occurrence = np.empty(len(pair), np.int64)
    occurrence[order] = np.arange(len(pair)) - np.repeat(starts, np.diff(starts, append=len(pair)))
    return occurrence
