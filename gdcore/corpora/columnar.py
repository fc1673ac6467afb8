"""Reader of `.parquet`: columns are text, prompt, label and group, and a record is known by the number of its row.

Memory is bounded by what is read at a time, not by row groups or by what a dictionary stands for: a dictionary of one
long text, a million times referred to, is refused like any other file that unpacks to far more than it is.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false
# (pyarrow comes without types)
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from gdcore.corpora.columns import CLASSES, named, require, with_column
from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.lines import BLOCK, MAX_LINE
from gdcore.corpora.opened import Opened, check_unpacked
from gdcore.errors import UserError

SUFFIX = ".parquet"
HAS_COLUMNS = True
MAGIC = b"PAR1"
ROWS = 256  # in hand at a time,
MEMORY = 64 << 20  # or fewer, where so many bytes would not do for them
READ_ERRORS = (pa.ArrowException, OSError, ValueError)


def read(file: Opened, config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, …) and of the configured columns; `line` is the row's number, from 1.

    Raises UserError where the file is not whole, where a configured column is not there, and where it is of a type
    that its role cannot have. A part that cannot be decoded ends the reading: one record says from which row on.
    """
    columns, size = named(config), file.before.st_size
    with _seekable(file) as whole:
        table = _table(whole, file)
        for role, column in columns.items():
            require({role: column}, table.schema_arrow.names, file)
            _check_type(role, column, table.schema_arrow, file)
        row, total = 1, max(table.metadata.num_rows, 1)
        for batches, error in _joined(_batches(table, whole, list(dict.fromkeys(columns.values())), file)):
            frames = [_frame(batches, columns)] if batches else []
            if error:
                lost = f"rows {row + sum(map(len, frames))} to {total}: {error}"
                frames.append(pl.DataFrame({"text": "", "reason": "damaged", "record": lost}))
            frame = pl.concat(frames, how="diagonal")
            line = pl.int_range(row, row + len(frame), dtype=pl.UInt32, eager=True)
            row += len(frame)
            yield frame.with_columns(line=line, offset=min(size * row // total, size))


def check(file: Opened) -> None:
    """Raise UserError for a file that is no parquet, or not whole; one that is packed a second time is not unpacked."""
    if not file.codec:
        _table(file.file, file)
    elif file.read(4) != MAGIC:
        raise UserError(f"{file.path} holds no parquet file once it is unpacked. Give one, or rename it to what it is.")


@contextmanager
def _seekable(file: Opened) -> Iterator[BinaryIO]:
    """The file itself; one that is packed a second time, unpacked into a file that nobody sees."""
    if not file.codec:
        yield file.file
        file.file.seek(0)  # for the hash
        return
    with TemporaryFile() as whole:
        while data := file.read(BLOCK):
            whole.write(data)
        if file.flaw:
            raise UserError(
                f"{file.path} is {file.flaw}: it cannot be unpacked to its end, and a parquet file is useless without "
                "its end. Fetch or write it again."
            )
        yield whole


def _table(whole: BinaryIO, file: Opened, coded: list[str] | None = None) -> pq.ParquetFile:
    try:
        table = pq.ParquetFile(whole, read_dictionary=coded, pre_buffer=False, buffer_size=1 << 20)
        assert table.schema_arrow.names is not None
    except READ_ERRORS as error:
        raise UserError(
            f"{file.path} is no whole parquet file: {_said(error)}. Its table of contents is at its end, so a file "
            "that is cut cannot be read at all. Fetch or write it again."
        ) from error
    return table


def _said(error: Exception) -> str:
    """What the parquet library complains of, on one line."""
    return " ".join(str(error).split())[:200].rstrip(".")


def _check_type(role: str, column: str, schema: pa.Schema, file: Opened) -> None:
    """Raise UserError where a column holds no strings, nor, for a class, numbers or booleans."""
    if schema.names.count(column) > 1:
        raise UserError(f"{file.path} has the column {column!r} more than once. Rename those that are not meant.")
    kind = schema.field(column).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not (_is_text(kind) or pa.types.is_null(kind) or (role in CLASSES and number)):
        expected = "strings, numbers or booleans" if role in CLASSES else "strings"
        raise UserError(
            f"{file.path}: the column {column!r}, for the {role}, holds {kind}; expected {expected}. Name another with "
            f"--{role}-column (corpus.{role}_column), or convert it."
        )


def _is_text(kind: pa.DataType) -> bool:
    """Strings, or bytes, which older writers take for strings."""
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
             pa.types.is_large_binary, pa.types.is_binary_view)  # fmt: skip
    return any(test(kind) for test in tests)


def _batches(table: pq.ParquetFile, whole: BinaryIO, columns: list[str], file: Opened) -> Iterator[pa.RecordBatch]:
    """ROWS at a time, or fewer where the longest text of a dictionary, so many times, would be more than MEMORY."""
    given, packed = 0, file.before.st_size
    for group in range(table.num_row_groups):
        about = table.metadata.row_group(group)
        chunks = [about.column(i) for i in range(about.num_columns)]
        chunks = [chunk for chunk in chunks if chunk.path_in_schema in columns]
        check_unpacked(file.path, sum(chunk.total_uncompressed_size for chunk in chunks), packed)
        coded = [chunk.path_in_schema for chunk in chunks if any("DICTIONARY" in each for each in chunk.encodings)]
        coded = [name for name in coded if _is_text(table.schema_arrow.field(name).type)]
        num_rows = min(ROWS, MEMORY // _longest(_table(whole, file, coded), group, coded)) if coded else ROWS
        for batch in table.iter_batches(max(num_rows, 1), [group], columns):
            arrays = [each.dictionary_decode() if pa.types.is_dictionary(each.type) else each for each in batch.columns]
            given += sum(array.nbytes for array in arrays)
            check_unpacked(file.path, given, packed)
            yield pa.record_batch(arrays, batch.schema.names)


def _longest(table: pq.ParquetFile, group: int, coded: list[str]) -> int:
    """The bytes of the longest text in a row group's dictionaries, which come whole with the first row."""
    first = next(table.iter_batches(1, [group], coded), None)
    values = [column.dictionary for column in first.columns] if first else []
    sizes = [pl.Series(each.cast(pa.large_binary())).bin.size().to_numpy() for each in values]
    return max((int(size.max()) for size in sizes if len(size)), default=0) or 1


def _joined(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[list[pa.RecordBatch], str | None]]:
    """As many as make up a block, and last those up to an error, with what it says."""
    waiting, size = list[pa.RecordBatch](), 0
    while True:
        try:
            batch = next(batches, None)
        except READ_ERRORS as error:
            if isinstance(error, UserError) or getattr(error, "errno", None) is not None:  # the disk's
                raise
            yield waiting, _said(error)
            return
        if batch is None:
            break
        waiting.append(batch)
        size += batch.nbytes
        if size >= BLOCK:
            yield waiting, None
            waiting, size = [], 0
    if waiting:
        yield waiting, None


def _frame(batches: list[pa.RecordBatch], columns: dict[str, str]) -> pl.DataFrame:
    """The rows with each role's column; `reason` where a value is null or too long."""
    table = pa.Table.from_batches(batches)
    frame = pl.DataFrame({"text": pl.repeat("", len(table), eager=True)}).with_columns(reason=pl.lit(None, pl.String))
    for role, column in columns.items():
        values = table.column(column).combine_chunks()
        if _is_text(values.type):
            texts, cut = _strings(values)
            frame = with_column(frame, role, texts.to_list())
            if cut.any():
                frame = frame.with_columns(reason=pl.when(cut).then(pl.lit("line_too_long")).otherwise("reason"))
        else:
            frame = with_column(frame, role, values.to_pylist())
    return frame.with_columns(record="text")


def _strings(values: pa.Array) -> tuple[pl.Series, pl.Series]:
    """Texts, U+FFFD where bytes are not UTF-8 (a file's word is not to be taken for it), and which were cut."""
    raw = pl.Series(values.cast(pa.large_binary()))
    cut = (raw.bin.size() > MAX_LINE).fill_null(False)
    if not cut.any():
        try:
            return raw.cast(pl.String), cut
        except pl.exceptions.ComputeError:
            pass
    texts = [None if each is None else each[:MAX_LINE].decode("utf-8", "replace") for each in raw]
    return pl.Series(texts, dtype=pl.String), cut
