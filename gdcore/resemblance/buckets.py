"""Which texts share a key with another one, and with which: keys in files, looked at a band and a part at a time.

Texts that share no key are like no other, and most of a corpus' texts do not; only the others, the suspects, take
memory later on. In memory here are of every text a byte, of every suspect four bytes a band, and a part of one band.

Shapes: N texts, S suspects, B bands.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdcore.resemblance.gists import Hashes

PART_TEXTS = 1 << 23
"""Texts whose keys are sorted at one time: some 200 MB."""
CHUNK = 1 << 20  # keys read at a time


class KeyFiles:
    """The keys of texts, in the order in which they are written, a file a band."""

    def __init__(self, folder: Path, bands: int) -> None:
        self.paths = [folder / f"keys.{band}" for band in range(bands)]
        self.num_texts = 0

    def write(self, keys_NB: Hashes) -> None:
        """Append."""
        for path, keys_N in zip(self.paths, keys_NB.T, strict=True):
            with path.open("ab") as file:
                file.write(keys_N.astype("<u8").tobytes())
        self.num_texts += len(keys_NB)

    def mark(self, suspects_N: NDArray[np.bool_], part_texts: int = PART_TEXTS) -> Iterator[int]:
        """Mark the texts that share a key with another; yields the number of each band that has been looked at."""
        parts = 1 + self.num_texts // part_texts
        for band, path in enumerate(self.paths):
            for part in range(parts):
                texts, keys = self._chosen(path, lambda keys, first, part=part: keys % np.uint64(parts) == part)
                before, after = neighbours(keys)
                suspects_N[texts[before]] = suspects_N[texts[after]] = True
            yield band

    def links(self, suspects_N: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Of each suspect and band the last suspect before it with the same key `(S, B)`, or −1."""
        num_suspects = int(suspects_N.sum())
        assert num_suspects < 2**31
        links_SB = np.full((num_suspects, len(self.paths)), -1, np.int32)
        for band, path in enumerate(self.paths):
            _, keys_S = self._chosen(path, lambda keys, first: suspects_N[first : first + len(keys)])
            before, after = neighbours(keys_S)
            links_SB[after, band] = before
        return links_SB

    def _chosen(
        self, path: Path, choose: Callable[[Hashes, int], NDArray[np.bool_]]
    ) -> tuple[NDArray[np.int64], Hashes]:
        """The texts whose keys are chosen, and these keys; `choose` gets some keys and the number of their first."""
        texts, chosen = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
        for first in range(0, self.num_texts, CHUNK):
            keys = np.fromfile(path, "<u8", CHUNK, offset=8 * first).astype(np.uint64, copy=False)
            those = np.flatnonzero(choose(keys, first))
            texts.append(first + those)
            chosen.append(keys[those])
        return np.concatenate(texts), np.concatenate(chosen)

    def remove(self) -> None:
        """Give the disk back."""
        for path in self.paths:
            path.unlink(missing_ok=True)


def neighbours(keys: Hashes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of places with the same key, each with the next one that has it."""
    order = np.argsort(keys, kind="stable")
    same = keys[order[1:]] == keys[order[:-1]]
    return order[:-1][same], order[1:][same]
