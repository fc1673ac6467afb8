"""A Parquet file of any length, made part by part in bounded memory; a killed call goes on with the first part missing.

    <out>.parts-<digest>/00000.parquet …   parts, each whole or absent; those of another request have another digest
    <out>                                  appears once, when all of them are there

The file says what was asked for, so that the same request finds it done.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false
# (pyarrow comes without types)
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from gdcore.artifacts import digest
from gdcore.durable import synced
from gdcore.errors import UserError
from gdcore.progress import Progress

T = TypeVar("T")


def written(
    out: Path,
    request: Mapping[str, Any],
    rows: Iterable[T],
    total: int | None,
    part: Callable[[list[T], int], pa.Table],
    schema: pa.Schema,
    size: int,
) -> Iterator[Progress]:
    """Write `part(rows, number of the first)` for every `size` rows; nothing is done where `out` answers the request.

    `request` is all that decides what is written. Raises UserError where the file cannot be written.
    """
    if _answers(out, request):
        yield Progress(total or 0, total, "was there already")
        return
    if out.is_dir():
        raise UserError(f"{out} is a folder. Give the name of a file.")
    folder = out.with_name(f"{out.name}.parts-{digest(request)[:12]}")
    ahead, paths, done = iter(rows), list[Path](), 0
    batch = list(islice(ahead, size))  # what cannot be read leaves no folder behind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{out} cannot be written: {error.strerror}. Give a file in a writable folder.") from None
    while batch:
        path = folder / f"{len(paths):05}.parquet"
        if not path.exists():
            _replace(path, part(batch, done))
        paths.append(path)
        done += len(batch)
        yield Progress(done, total, f"{done:,} texts")
        batch = list(islice(ahead, size))
    _join(paths, out, schema, request)
    shutil.rmtree(folder)


def apart(out: Path, source: Path) -> None:
    """Raises UserError where what is written would take the place of what is read."""
    if out.exists() and source.exists() and out.samefile(source):
        raise UserError(f"{out} is the file that is read, and would be overwritten. Give another name.")


def table(columns: Iterable[Iterable[Any]], schema: pa.Schema) -> pa.Table:
    """A table of columns in the schema's order."""
    return pa.table([pa.array(list(each), field.type) for each, field in zip(columns, schema, strict=True)], schema)


def reasons(out: Path) -> dict[str, int]:
    """How often each reason stands in a file's column `reason`, the most frequent first."""
    counts = Counter[str]()
    for batch in pq.ParquetFile(out).iter_batches(columns=["reason"]):
        counts.update(batch["reason"].drop_null().to_pylist())
    return dict(counts.most_common())


def _answers(out: Path, request: Mapping[str, Any]) -> bool:
    """Whether a file is the whole answer to this request."""
    try:
        told = pq.read_schema(out).metadata or {}
    except (OSError, pa.ArrowInvalid):
        return False
    return told.get(b"gdflow") == json.dumps(request).encode()


def _join(paths: list[Path], out: Path, schema: pa.Schema, request: Mapping[str, Any]) -> None:
    """All parts as one file that says what was asked; a row group a part."""
    schema = schema.with_metadata({"gdflow": json.dumps(request)})
    draft = out.with_name(f".{out.name}.draft")
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for path in paths:
            writer.write_table(pq.read_table(path).replace_schema_metadata(schema.metadata))
    synced(draft)
    os.replace(draft, out)
    synced(out.parent)


def _replace(path: Path, part: pa.Table) -> None:
    draft = path.with_suffix(".draft")
    pq.write_table(part, draft, compression="zstd")
    synced(draft)
    os.replace(draft, path)
