"""Latent semantic analysis: TF-IDF of words and word pairs, projected on the references' strongest directions.

Deerwester et al. 1990; log-scaled counts and smoothed inverse document frequencies as in Manning et al. 2008, §6.4.
Needs no download and no training beyond one truncated singular value decomposition.

A TF-IDF row has length one, and wording that the fitted texts lack weighs in it. The length of its projection therefore
says how *familiar* its wording is, and the direction what it is *about*. Left as it is, a garbled text would lie near
the origin, in the middle of all others, and pass for a typical one; with the length thrown away, shuffled words would
not be seen at all. So the direction is scaled to length one, and familiarity is a coordinate of its own.

Shapes: N texts, G n-grams, D directions.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from gdcore.evaluation.evidence import Texts
from gdcore.evaluation.ngram_counts import Floats, Ints

DIM = 64
"""Directions kept. The Fréchet distance's bias grows with their square, its resolution hardly."""
FAMILIARITY = 0.25
"""What one standard deviation of familiarity weighs: enough for shuffled words to leave the cloud, and little enough
for subjects to count (docs/metrics.md)."""


class Encoder:
    """Texts → rows of shape (N, D + 1), D ≤ 64: direction and familiarity. An empty text is the origin."""

    def __init__(self, texts: Texts):
        self._column: dict[str | tuple[str, str], int] = {}
        grams = self._grams(texts, learn=True)
        # The last column stands for every n-gram not seen here.
        num_columns = len(self._column) + 1
        document_frequency_G = np.bincount(_counts(*grams, num_columns).indices, minlength=num_columns)
        # What one text alone holds gives it no neighbour, and is treated as if unseen.
        self._kept_G = np.flatnonzero(document_frequency_G > 1)
        seen_G = np.where(document_frequency_G > 1, document_frequency_G, 0)
        self._idf_G: Floats = np.log((1 + len(texts)) / (1 + seen_G)) + 1
        rows_NG = self._weigh(*grams)
        self._directions_GD = _directions(rows_NG, len(texts), len(self._kept_G))
        spread = np.linalg.norm(rows_NG @ self._directions_GD, axis=1).std()
        self._scale = FAMILIARITY / spread if spread > 1e-9 else 0.0

    def encode(self, texts: Texts) -> Floats:
        projected_ND = np.asarray(self._weigh(*self._grams(texts, learn=False)) @ self._directions_GD)
        familiarity_N1 = np.linalg.norm(projected_ND, axis=1, keepdims=True)
        directions_ND = projected_ND / np.maximum(familiarity_N1, 1e-12)
        return np.concatenate([directions_ND, self._scale * familiarity_N1], axis=1)

    def _grams(self, texts: Texts, *, learn: bool) -> tuple[Ints, Ints]:
        """The columns of all n-grams, text by text, and where each text begins, shape (N + 1,)."""
        column, unseen = self._column, len(self._column)
        indices: list[int] = []
        starts = [0]
        for text in texts:
            if learn:
                indices += [column.setdefault(gram, len(column)) for gram in _unigrams_and_bigrams(text)]
            else:
                indices += [column.get(gram, unseen) for gram in _unigrams_and_bigrams(text)]
            starts.append(len(indices))
        return np.array(indices, np.int64), np.array(starts, np.int64)

    def _weigh(self, indices: Ints, starts: Ints) -> sparse.csr_array:
        """Rows of length one; of them the columns kept."""
        counts_NG = _counts(indices, starts, len(self._idf_G))
        sizes_N = np.diff(counts_NG.indptr)
        text = np.repeat(np.arange(len(sizes_N)), sizes_N)
        values = (1 + np.log(counts_NG.data)) * self._idf_G[counts_NG.indices]
        lengths_N = np.sqrt(np.bincount(text, values**2, len(sizes_N)))
        counts_NG.data = values / lengths_N[text]
        return counts_NG[:, self._kept_G]


def fit(references: Texts) -> Encoder:
    """Learn frequencies and directions. Texts in another order give the same geometry up to rounding."""
    return Encoder(references)


def _unigrams_and_bigrams(text: Sequence[str]) -> Iterator[str | tuple[str, str]]:
    yield from text
    yield from pairwise(text)


def _counts(indices: Ints, starts: Ints, num_columns: int) -> sparse.csr_array:
    parts = (np.ones(len(indices)), indices, starts)
    counts_NG = sparse.csr_array(parts, shape=(len(starts) - 1, num_columns), copy=True)
    counts_NG.sum_duplicates()  # in place
    return counts_NG


def _directions(rows_NG: sparse.csr_array, num_rows: int, num_columns: int) -> Floats:
    """The right singular vectors of the largest singular values, as columns (G, D)."""
    rank = min(num_rows, num_columns)
    if rank == 0:
        return np.zeros((num_columns, 1))
    if rank <= 4 * DIM:  # Lanczos iterations want room
        right_DG = np.linalg.svd(rows_NG.toarray(), full_matrices=False)[2][:DIM]
    else:
        right_DG = np.asarray(svds(rows_NG, k=DIM, v0=np.ones(rank), return_singular_vectors=True)[-1])[::-1]
    # Each direction points to where its largest entry lies, so that machines agree on signs.
    largest_D = np.take_along_axis(right_DG, np.abs(right_DG).argmax(1)[:, None], 1)
    return np.ascontiguousarray((right_DG * np.sign(largest_D)).T)
