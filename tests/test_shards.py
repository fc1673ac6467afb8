"""Shards give back the rows that were written, from one file or many, all of them or those kept."""

import numpy as np
import pytest

from gdcore.errors import UserError
from gdcore.shards import Shards, ShardWriter


def write(directory, rows, *, vocab_size=100, shard_ids=10, at_once=3):
    """Rows are (prompt ids, text ids)."""
    writer = ShardWriter(directory, "train", vocab_size, shard_ids)
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        flat = np.array([i for prompt, text in part for i in (*prompt, *text)], np.int64)
        lengths = np.array([len(prompt) + len(text) for prompt, text in part])
        writer.append(flat, lengths, np.array([len(prompt) for prompt, _ in part]))
    writer.close()


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    sizes = rng.integers(0, 6, (50, 2))
    return [(rng.integers(0, 100, a).tolist(), rng.integers(0, 100, b).tolist()) for a, b in sizes]


@pytest.mark.parametrize("shard_ids", [1, 10, 1 << 20])
def test_rows_come_back(tmp_path, rows, shard_ids):
    write(tmp_path, rows, shard_ids=shard_ids)
    shards = Shards.open(tmp_path, "train")
    assert len(shards) == len(rows)
    assert [tuple(part.tolist() for part in shards.row(i)) for i in range(len(rows))] == rows
    assert shards.lengths_N.tolist() == [len(prompt) + len(text) for prompt, text in rows]


def test_many_rows_at_once_in_any_order(tmp_path, rows):
    write(tmp_path, rows)
    shards = Shards.open(tmp_path, "train")
    wanted = [49, 0, 7, 7, 23]
    flat, offsets, prompts = shards.rows(wanted)
    for k, i in enumerate(wanted):
        assert flat[offsets[k] : offsets[k + 1]].tolist() == rows[i][0] + rows[i][1]
        assert prompts[k] == len(rows[i][0])
    flat, offsets, prompts = shards.rows([])
    assert (len(flat), offsets.tolist(), len(prompts)) == (0, [0], 0)


def test_only_the_kept_rows(tmp_path, rows):
    write(tmp_path, rows)
    kept = np.array([3, 4, 40])
    shards = Shards.open(tmp_path, "train", kept)
    assert len(shards) == 3
    assert shards.row(2)[1].tolist() == rows[40][1]
    assert shards.lengths_N.tolist() == [len(rows[i][0]) + len(rows[i][1]) for i in kept]


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_ids_are_as_small_as_the_vocabulary_allows(tmp_path, vocab_size, dtype):
    write(tmp_path, [([], [vocab_size - 1])], vocab_size=vocab_size)
    assert np.load(tmp_path / "train.00000.ids.npy").dtype == dtype
    assert Shards.open(tmp_path, "train").row(0)[1].tolist() == [vocab_size - 1]


def test_ids_are_mapped_not_read(tmp_path, rows):
    write(tmp_path, rows)
    assert all(isinstance(ids, np.memmap) for ids in Shards.open(tmp_path, "train").ids)


def test_an_empty_split(tmp_path):
    write(tmp_path, [])
    assert len(Shards.open(tmp_path, "train")) == 0


def test_no_such_split(tmp_path):
    with pytest.raises(UserError, match="no token ids of the split 'dev'"):
        Shards.open(tmp_path, "dev")
