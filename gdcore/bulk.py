"""Texts by the million, from a bundle into one Parquet file: in bounded memory, the same whoever stops it and when.

A text depends on the bundle, its prompt, the seed, its row and the decoding alone (`Session.generate`), so shards can
be drawn in any order, and a killed call goes on with the first that is missing (`gdcore.parts`). Needs no torch.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false
# (pyarrow comes without types)
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from gdcore import parts
from gdcore.artifacts import file_digest
from gdcore.decoding import Decoding
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.serving.session import Precision, Session

SHARD = 4096
NUM_TOLD = 12
"""Texts that a summary quotes."""
SCHEMA = pa.schema([("row", pa.uint64()), ("prompt", pa.string()), ("text", pa.string()), ("reason", pa.string())])


class Asked(NamedTuple):
    """One row of the input: what is to be answered or continued, or why it cannot be."""

    prompt: str | None
    reason: str | None = None


def prompts_of(path: Path, column: str) -> Iterator[Asked]:
    """The prompts of a file, one a row, cleaned as a corpus is; a row that a corpus would quarantine says why.

    Raises UserError for a file that cannot be read, as the corpus does.
    """
    from gdcore.corpora.build import records
    from gdcore.corpora.config import CorpusConfig

    for frame in records(CorpusConfig(paths=(str(path),), text_column=column)):
        for prompt, reason in frame.select("text", "reason").iter_rows():
            yield Asked(None if reason else prompt, reason)


def digest_of(path: Path, out: Path | None = None) -> str:
    """What identifies the prompts of a file.

    Raises UserError for one that cannot be read, as the corpus does, and for one that `out` would overwrite.
    """
    from gdcore.corpora.found import expand

    file, *others = expand(str(path))
    if others or not path.is_file():
        raise UserError(f"{path} is not one file of prompts. Give a file.")
    if out:
        parts.apart(out, path)
    return file_digest(file)


def unprompted(num: int) -> Iterator[Asked]:
    """So many texts from nothing."""
    return repeat(Asked(None), num)


def generate(
    bundle: Path,
    out: Path,
    asked: Iterable[Asked],
    total: int | None,
    seed: int,
    decoding: Decoding,
    source: str = "",
    precision: Precision = "float32",
) -> Iterator[Progress]:
    """Write one row for each that is asked: `row` (from 0), `prompt`, `text`, and `reason` where there is no text.

    `source` identifies where the prompts come from. Nothing is done where `out` already answers the same request.
    Raises UserError as `Session` does.
    """
    session = Session(bundle, precision=precision)
    request = {
        "bundle": file_digest(bundle / "manifest.json"),
        "seed": seed,
        "decoding": decoding.model_dump(),
        "source": source,
        "total": total,
        "precision": precision,
    }

    def part(batch: list[Asked], first: int) -> pa.Table:
        return _shard(session, batch, first, seed, decoding)

    yield from parts.written(out, request, asked, total, part, SCHEMA, SHARD)


def summary(out: Path) -> dict[str, Any]:
    """How many rows a file has, how many of them hold a text, why the others do not, and some texts."""
    refused = parts.reasons(out)
    file = pq.ParquetFile(out)
    first = file.read_row_group(0, ["text"])["text"] if file.num_row_groups else pa.array([], pa.string())
    texts = first.drop_null().to_pylist()
    rows: int = file.metadata.num_rows
    told = {"rows": rows, "written": rows - sum(refused.values()), "refused": dict(list(refused.items())[:10])}
    return {**told, "texts": texts[:NUM_TOLD]}


def _shard(session: Session, batch: list[Asked], first: int, seed: int, decoding: Decoding) -> pa.Table:
    """The rows of one shard; `first` is the number of its first row."""
    reasons = [each.reason or _refused(session, each.prompt) for each in batch]
    texts: list[str | None] = [None] * len(batch)
    for start, end in _runs(reasons):
        prompts = [each.prompt or "" for each in batch[start:end]]
        given = prompts if any(each.prompt is not None for each in batch[start:end]) else None
        settings = decoding.model_dump()
        texts[start:end] = session.generate(end - start, given, seed=seed, first=first + start, **settings)
    columns = [range(first, first + len(batch)), [each.prompt for each in batch], texts, reasons]
    return parts.table(columns, SCHEMA)


def _refused(session: Session, prompt: str | None) -> str | None:
    """Why this bundle cannot go on from a prompt; None where it can."""
    if prompt is None:
        return "no prompt, and this model answers prompts" if session.prompted else None
    return session.objection(prompt)


def _runs(reasons: list[str | None]) -> Iterator[tuple[int, int]]:
    """From where to where nothing is refused."""
    start = 0
    for number, reason in enumerate([*reasons, "the end"]):
        if reason is not None:
            if number > start:
                yield start, number
            start = number + 1
