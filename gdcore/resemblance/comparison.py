"""Suspects compared with those that stand before them, every pair counted out; the first of similar texts stands.

Texts come in the order test, valid, train and are judged one after the other, each by texts that stand: a text that is
similar to one that was taken out, but to none that stays, stays. So of those that stay no two were found similar, and
whatever is taken out resembles one that stays. Sketches only say which pairs to look at; what counts is how many of
their shingles two texts share (64 bits of each, by which two shingles are taken for the same once in 10¹⁹ pairs).

Shapes: S suspects, B bands, K candidates.
"""

import os
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gdcore.resemblance.gists import Hashes, distinct, hashed, resemblances, sides

MOST_CANDIDATES, MOST_OF_A_KEY = 200, 1000
"""With how many texts one is compared, and how many that share a key are looked at. Of texts made from one template
nearly all share keys, though few are similar: without an end the work would grow with the square of their number."""


class Comparison:
    """Who is similar to whom. `like_S` is the text that each was found similar to, or −1, `similarity_S` how much.

    `links_SB`: of each suspect and band the last one before it with the same key. `starts`: where each split begins.
    Texts of test are compared with none, texts of valid with those of test alone, texts of train with all, or with
    those of the other splits alone where `within_train` is false. `compared_in_part`: how many texts shared keys with
    more others than they were compared with.
    """

    def __init__(
        self,
        similarity: float,
        links_SB: NDArray[np.int32],
        starts: Mapping[str, int],
        within_train: bool,
        folder: Path,
    ) -> None:
        self.similarity, self.within_train = similarity, within_train
        self.links_SB, self.first_valid, self.first_train = links_SB, starts["valid"], starts["train"]
        self.stands = bytearray(len(links_SB))
        self.like_S = np.full(len(links_SB), -1, np.int32)
        self.similarity_S = np.zeros(len(links_SB))
        self.compared_in_part = 0
        self.gists = array("q")
        """A hash of each, to tell whether two are the same."""
        self.prompts, self.texts = Spool(folder / "prompts"), Spool(folder / "texts")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.prompts.close()
        self.texts.close()

    def __len__(self) -> int:
        return len(self.gists)

    def add(self, gists: Sequence[str]) -> None:
        """Judge the next suspects."""
        first = len(self)
        self.gists.extend(map(hash, gists))
        for spool, texts in zip((self.prompts, self.texts), zip(*map(sides, gists), strict=True), strict=True):
            spool.write(*distinct(*hashed(texts)))
        for i in range(first, len(self)):
            if i >= self.first_valid:
                self._judge(i)
            else:
                self.stands[i] = True

    def _judge(self, i: int) -> None:
        of_train = i >= self.first_train
        end = self.first_train if of_train else self.first_valid  # of the texts that it must not be similar to
        candidates = self._candidates(i)
        most, like = self._closest(i, [j for j in candidates if j < end])
        if most < self.similarity and of_train:
            most, like = self._closest(i, [j for j in candidates if j >= end])
            if most == 1 and self.gists[like] == self.gists[i]:
                return  # the same text again is the corpus stage's business; it need not be compared with twice
        if most >= self.similarity:
            self.like_S[i], self.similarity_S[i] = like, most
        else:
            self.stands[i] = self.within_train or not of_train

    def _closest(self, i: int, candidates: Sequence[int]) -> tuple[float, int]:
        """The greatest similarity with one of the candidates, and the first that has it."""
        if not candidates:
            return 0, -1
        similarity_K = resemblances(self.texts[i], [self.texts[j] for j in candidates])
        if not self.prompts.is_empty:
            of_prompts_K = resemblances(self.prompts[i], [self.prompts[j] for j in candidates])
            similarity_K = np.minimum(similarity_K, of_prompts_K)
        first = int(similarity_K.argmax())
        return float(similarity_K[first]), candidates[first]

    def _candidates(self, i: int) -> list[int]:
        """The texts that stand and share a key with it, sorted; its links are shortened to lead to such alone.

        Of too many the ones that share the most keys, hence are the most alike, and of those the first.
        """
        shared, cut = Counter[int](), False
        for band, link in enumerate(self.links_SB[i].tolist()):
            if link >= 0 and not self.stands[link]:
                link = self.links_SB[i, band] = int(self.links_SB[link, band])
            steps = 0
            while link >= 0 and steps < MOST_OF_A_KEY:
                shared[link] += 1
                link, steps = int(self.links_SB[link, band]), steps + 1
            cut |= link >= 0
        self.compared_in_part += cut or len(shared) > MOST_CANDIDATES
        return sorted(sorted(shared, key=lambda j: (-shared[j], j))[:MOST_CANDIDATES])


class Spool:
    """The shingles of texts on disk, each text's to be had again by its number."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w+b")
        self.ends = array("q", [0])

    @property
    def is_empty(self) -> bool:
        """Whether there is no shingle in it."""
        return self.ends[-1] == 0

    def __getitem__(self, text: int) -> Hashes:
        start, end = self.ends[text], self.ends[text + 1]
        return np.frombuffer(os.pread(self.file.fileno(), 8 * (end - start), 8 * start), np.uint64)

    def write(self, hashes: Hashes, starts: NDArray[np.int64]) -> None:
        """Append."""
        before = self.ends[-1]
        self.ends.extend((before + starts[1:]).tolist())
        self.file.write(hashes.tobytes())
        self.file.flush()

    def close(self) -> None:
        """Give the disk back."""
        self.file.close()
        os.unlink(self.file.name)
