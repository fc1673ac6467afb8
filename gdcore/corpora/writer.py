"""The corpus on disk: rows arrive in frames, leave in row groups, and stand under their names only when all is well."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# (pyarrow comes without types; Polars can write a parquet file only all at once)
import json
from pathlib import Path
from shutil import rmtree
from types import TracebackType
from typing import Any, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 1 << 16  # a row group

TEXTS = pa.schema(
    [("text", pa.string()), ("prompt", pa.string()), ("label", pa.string()), ("source", pa.string()),
     ("line", pa.uint32())]
)  # fmt: skip
QUARANTINE = pa.schema(
    [("record", pa.string()), ("source", pa.string()), ("line", pa.uint32()), ("reason", pa.string())]
)


class Table:
    """One parquet file that grows by frames; the same rows give the same bytes however the frames were cut."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.schema = schema
        self.file = pq.ParquetWriter(path, schema, compression="zstd")
        self.waiting: list[pl.DataFrame] = []
        self.num_waiting = self.num_rows = 0

    def write(self, frame: pl.DataFrame) -> None:
        """Append the frame's columns of the schema."""
        self.waiting.append(frame.select(self.schema.names))
        self.num_waiting += len(frame)
        self.num_rows += len(frame)
        if self.num_waiting >= ROWS:
            rows = pl.concat(self.waiting)
            whole = len(rows) // ROWS * ROWS
            self._flush(rows[:whole])
            self.waiting, self.num_waiting = [rows[whole:]], len(rows) - whole

    def close(self) -> None:
        """Write what waits and end the file."""
        if self.num_waiting:
            self._flush(pl.concat(self.waiting))
        self.file.close()

    def _flush(self, rows: pl.DataFrame) -> None:
        arrow = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(self.schema)
        self.file.write_table(arrow, row_group_size=ROWS)


class Writer:
    """The files of a corpus, written beside their place and moved there when the block ends without an exception.

    `scratch` is a folder, not made yet, for what is needed until then.
    """

    def __init__(self, out: Path, splits: tuple[str, ...]) -> None:
        self.out = out
        self.draft, self.scratch = out / ".draft", out / ".scratch"
        self._clear()
        self.draft.mkdir(parents=True)
        self.splits = {split: Table(self.draft / f"{split}.parquet", TEXTS) for split in splits}
        self.quarantine = Table(self.draft / "quarantine.parquet", QUARANTINE)

    def summarise(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        (self.draft / "summary.json").write_text(text + "\n", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in (*self.splits.values(), self.quarantine):
            table.close()
        if kind is None:
            for path in self.draft.iterdir():
                path.replace(self.out / path.name)
        self._clear()

    def _clear(self) -> None:
        for folder in (self.draft, self.scratch):
            if folder.exists():
                rmtree(folder)
