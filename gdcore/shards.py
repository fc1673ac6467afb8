"""Token ids on disk: one flat array of ids per shard, memory-mapped, with where each text begins.

A split is `<split>.<k>.{ids,offsets,prompts}.npy` for k = 00000, 00001, …: ids (uint16, or uint32 when the vocabulary
needs it) of prompt then text, text after text; int64 offsets, one more than texts; int32 lengths of the prompts, 0
where there is none. Row i of a split is row i of the corpus. N texts.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gdcore.errors import UserError

SHARD_IDS = 1 << 24
"""A shard is closed by the row batch that brings it to so many ids: 32 MB or a little more."""

Ids = NDArray[np.int64]
Ints = NDArray[np.integer]


class ShardWriter:
    """Collects rows of ids and writes a shard whenever it is full. Use `close` to write the last."""

    def __init__(self, directory: Path, split: str, vocab_size: int, shard_ids: int = SHARD_IDS) -> None:
        self.directory, self.split, self.shard_ids = directory, split, shard_ids
        self.dtype = np.uint16 if vocab_size <= 1 << 16 else np.uint32
        self.num_shards = 0
        self._reset()

    def _reset(self) -> None:
        self.flat: list[Ints] = []
        self.lengths: list[Ids] = []
        self.prompts: list[NDArray[np.int32]] = []
        self.num_ids = 0

    def append(self, flat: Ints, lengths_N: Ids, prompt_lengths_N: Ids) -> None:
        """Add rows: their ids end to end, the length of each (prompt and text) and of its prompt."""
        assert len(flat) == lengths_N.sum()
        self.flat.append(flat.astype(self.dtype))
        self.lengths.append(lengths_N)
        self.prompts.append(prompt_lengths_N.astype(np.int32))
        self.num_ids += len(flat)
        if self.num_ids >= self.shard_ids:
            self.close()

    def close(self) -> None:
        """Write what is collected; an empty split still has its one, empty, shard."""
        if not self.lengths and self.num_shards:
            return
        lengths = np.concatenate([np.zeros(1, np.int64), *self.lengths])
        self._save("ids", np.concatenate([np.zeros(0, self.dtype), *self.flat]))
        self._save("offsets", np.cumsum(lengths, dtype=np.int64))
        self._save("prompts", np.concatenate([np.zeros(0, np.int32), *self.prompts]))
        self.num_shards += 1
        self._reset()

    def _save(self, part: str, array: NDArray[np.generic]) -> None:
        np.save(self.directory / f"{self.split}.{self.num_shards:05d}.{part}.npy", array)


class Shards:
    """The texts of one split, all of them or the rows that were kept, as ids. Reading copies only what is asked for."""

    def __init__(self, ids: Sequence[Ints], shard_N: Ints, start_N: Ints, lengths_N: Ints, prompts_N: Ints) -> None:
        """Per text its file, where it begins there, its length and its prompt's: of those on disk, 20 bytes."""
        self.ids, self.shard_N, self.start_N = ids, shard_N, start_N
        self.lengths_N, self.prompt_lengths_N = lengths_N, prompts_N

    @classmethod
    def open(cls, tokens_dir: Path | str, split: str, kept: Ints | None = None) -> Self:
        """Map a split; row i is then the i-th of the `kept` row numbers. Raises UserError without such a split."""
        parts = list(cls.each(tokens_dir, split))
        shard_N = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        columns = zip(*((part.start_N, part.lengths_N, part.prompt_lengths_N) for part in parts), strict=True)
        whole = cls([part.ids[0] for part in parts], shard_N, *map(np.concatenate, columns))
        return whole if kept is None else whole.only(kept)

    @classmethod
    def each(cls, tokens_dir: Path | str, split: str) -> Iterator[Self]:
        """The texts of a split a file at a time, in order: where only some of them are to be in hand."""
        for path in _files(tokens_dir, split):
            offsets, prompts_N = (np.load(str(path).replace(".ids.", f".{part}.")) for part in ("offsets", "prompts"))
            ids = np.load(path, mmap_mode="r" if offsets[-1] else None)  # an empty file cannot be mapped
            lengths_N = np.diff(offsets).astype(np.int32)
            yield cls([ids], np.zeros_like(lengths_N), offsets[:-1], lengths_N, prompts_N)

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]], prompt_lengths: Sequence[int] | None = None) -> Self:
        """Texts in memory: the ids of prompt then text, and how many are the prompt's; none where not given."""
        lengths_N = np.array([len(row) for row in rows], np.int32)
        flat = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths_N.sum()))
        prompts_N = np.zeros_like(lengths_N) if prompt_lengths is None else np.array(prompt_lengths, np.int32)
        return cls([flat], np.zeros_like(lengths_N), np.cumsum(lengths_N) - lengths_N, lengths_N, prompts_N)

    def __len__(self) -> int:
        return len(self.lengths_N)

    def __add__(self, other: Self) -> Self:
        """These texts, then the others."""
        parts = (
            (self.shard_N, other.shard_N + len(self.ids)),
            (self.start_N, other.start_N),
            (self.lengths_N, other.lengths_N),
            (self.prompt_lengths_N, other.prompt_lengths_N),
        )
        return type(self)([*self.ids, *other.ids], *map(np.concatenate, parts))

    def only(self, rows: Ints) -> Self:
        """Some of the texts; row i is then the i-th of `rows`."""
        parts = (self.shard_N, self.start_N, self.lengths_N, self.prompt_lengths_N)
        return type(self)(self.ids, *(part[rows] for part in parts))

    def row(self, i: int) -> tuple[Ids, Ids]:
        """The ids of one text's prompt (empty when it has none) and of the text."""
        flat, _, prompts = self.rows(np.array([i]))
        return flat[: prompts[0]], flat[prompts[0] :]

    def rows(self, indices: Ints | Sequence[int]) -> tuple[Ids, Ids, Ints]:
        """Many texts at once: their ids end to end, offsets (one more than texts), and the lengths of their prompts."""
        at = np.asarray(indices, dtype=np.int64)
        lengths, starts, shards = self.lengths_N[at], self.start_N[at], self.shard_N[at]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        flat = np.empty(int(offsets[-1]), np.int64)
        where = np.repeat(starts - offsets[:-1], lengths) + np.arange(len(flat))
        for shard in np.unique(shards):
            mine = np.repeat(shards == shard, lengths)
            flat[mine] = self.ids[shard][where[mine]]
        return flat, offsets, self.prompt_lengths_N[at]


def _files(tokens_dir: Path | str, split: str) -> list[Path]:
    paths = sorted(Path(tokens_dir).glob(f"{split}.*.ids.npy"))
    if not paths:
        raise UserError(f"{tokens_dir} holds no token ids of the split {split!r}; expected a tokens stage's folder")
    return paths
