"""Repetitions are found whether the digests stand in memory or on the disk."""

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdcore.corpora import build as build_module
from gdcore.corpora.seen import Seen
from tests.corpora.corpus_case import build

# Some that are equal, and all partitions.
DIGESTS = st.one_of(st.integers(0, 60), st.integers(0, 60).map(lambda n: n << 58), st.integers(0, 2**64 - 1))


@given(st.lists(st.lists(DIGESTS)), st.integers(0, 40))
def test_it_is_a_set(blocks: list[list[int]], in_memory: int) -> None:
    with TemporaryDirectory() as folder:
        seen, reference = Seen(Path(folder), in_memory), set[int]()
        for block in blocks:
            new = seen.add(np.array(block, dtype=np.uint64))
            for value, is_new in zip(block, new, strict=True):
                assert is_new == (value not in reference)
                reference.add(value)
        asked = [*range(61), *reference]
        assert seen.holds(np.array(asked, dtype=np.uint64)).tolist() == [value in reference for value in asked]
        stored = sum(sum(partition.lengths) for partition in seen.partitions)
        assert stored + sum(map(len, seen.latest)) == len(reference)
        assert sum(map(len, seen.latest)) <= in_memory
        assert sum(file.stat().st_size for file in Path(folder).rglob("*.u64")) == 8 * stored


def test_runs_stay_few(tmp_path: Path) -> None:
    seen, rng = Seen(tmp_path, in_memory=1_000), np.random.default_rng(0)
    for _ in range(400):
        assert seen.add(rng.integers(0, 2**64, 250, dtype=np.uint64)).all()
    assert max(len(partition.lengths) for partition in seen.partitions) <= 11, "log2 of the 100,000 / 64 of each"
    for partition in seen.partitions:
        assert all(larger >= 2 * smaller for larger, smaller in pairwise(partition.lengths))


def test_a_corpus_is_the_same_by_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"text number {n % 1_700}\n" for n in range(5_000)))
    memory, disk = tmp_path / "memory", tmp_path / "disk"
    by_memory = build(memory, paths=(str(path),))
    monkeypatch.setattr(build_module, "IN_MEMORY", 100)
    by_disk = build(disk, paths=(str(path),))
    assert by_memory.summary == by_disk.summary
    assert by_memory.summary["reasons"] == {"duplicate": 3_300}
    names = {file.name for file in memory.iterdir()}
    assert names == {file.name for file in disk.iterdir()}, "nothing of it stays behind"
    for name in names:
        assert (memory / name).read_bytes() == (disk / name).read_bytes()
