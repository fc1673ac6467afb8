"""A set of digests that may outgrow memory: how repetitions are found in a corpus of any size, as it streams by.

The latest digests stand in memory, in sorted runs that are merged as they grow to the same size (a log-structured
merge, O'Neil et al. 1996). When they are too many, they move to the disk, each to the partition that its leading bits
name. A partition's runs are merged likewise and looked at one at a time, so that no more than a partition is in memory.

Shapes: N digests.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Digests = NDArray[np.uint64]

BITS = 6
"""That many leading bits name a partition: 64 of them, each with open files only while it is looked at."""


class Seen:
    """A set of 64-bit digests: 8 bytes each, in memory or, of more than `in_memory`, in files in `folder`."""

    def __init__(self, folder: Path, in_memory: int) -> None:
        self.latest: list[Digests] = []
        self.partitions = [Partition(folder / f"{number:02x}") for number in range(1 << BITS)]
        self.in_memory = in_memory

    def holds(self, digests_N: Digests) -> NDArray[np.bool_]:
        """Which of the digests are in the set (N,)."""
        found_N = _in_any(self.latest, digests_N)
        if any(partition.lengths for partition in self.partitions):
            order_N = np.argsort(digests_N)
            sorted_N = digests_N[order_N]
            for partition, rows in zip(self.partitions, _divided(sorted_N), strict=True):
                if partition.lengths and rows.stop > rows.start:
                    found_N[order_N[rows]] |= partition.holds(sorted_N[rows])
        return found_N

    def add(self, digests_N: Digests) -> NDArray[np.bool_]:
        """Put them in; which of them are new (N,), the first of equal ones alone.

        Raises OSError where the disk has no room for them.
        """
        unique, first = np.unique(digests_N, return_index=True)
        fresh = ~self.holds(unique)
        new_N = np.zeros(len(digests_N), dtype=bool)
        new_N[first[fresh]] = True
        if fresh.any():
            self.latest.append(unique[fresh])
        while _due([len(run) for run in self.latest]):
            self.latest[-2:] = [_merged(self.latest[-2:])]
        if sum(map(len, self.latest)) > self.in_memory:
            run = _merged(self.latest)
            self.latest = []
            for partition, rows in zip(self.partitions, _divided(run), strict=True):
                partition.append(run[rows])
        return new_N


class Partition:
    """Sorted runs of digests on the disk, a file each, the largest first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lengths: list[int] = []

    def holds(self, digests_N: Digests) -> NDArray[np.bool_]:
        """Which of the digests are in one of the runs (N,)."""
        # Mapped anew each time: pages that stayed mapped would count as this process's memory, and add up.
        runs = [np.memmap(self._path(number), np.uint64, "r") for number in range(len(self.lengths))]
        return _in_any(runs, digests_N)

    def append(self, run: Digests) -> None:
        """Write down another run, and merge those that have come to the same size."""
        if not len(run):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lengths.append(len(run))
        while _due(self.lengths):
            path = self._path(len(self.lengths) - 2)
            run = _merged([np.fromfile(path, np.uint64), run])
            path.unlink()
            self.lengths[-2:] = [len(run)]
        run.tofile(self._path(len(self.lengths) - 1))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.u64"


def _divided(sorted_N: Digests) -> list[slice]:
    """Each partition's part of sorted digests."""
    starts = np.arange(1 << BITS, dtype=np.uint64) << np.uint64(64 - BITS)
    ends = [*np.searchsorted(sorted_N, starts).tolist(), len(sorted_N)]
    return [slice(start, end) for start, end in pairwise(ends)]


def _in_any(runs: Sequence[Digests], digests_N: Digests) -> NDArray[np.bool_]:
    found_N = np.zeros(len(digests_N), dtype=bool)
    for run in runs:
        place_N = np.minimum(np.searchsorted(run, digests_N), len(run) - 1)
        found_N |= run[place_N] == digests_N
    return found_N


def _due(lengths: list[int]) -> bool:
    """Whether the last two runs are to be one: then there are never more than log2 of the digests."""
    return len(lengths) > 1 and lengths[-1] * 2 > lengths[-2]


def _merged(runs: list[Digests]) -> Digests:
    merged = np.concatenate(runs)
    merged.sort(kind="stable")  # which finds the runs and merges them
    return merged
