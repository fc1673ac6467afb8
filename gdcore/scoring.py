"""Texts of a file of any size, scored by a bundle into one Parquet file: bounded memory, the same whoever stops it.

One row for each record of the input, in its order: `row` (from 0), `prompt` where texts answer one, `text`; `nll`, the
negative log-likelihood per token in nats, over `tokens` tokens, its end included; `verdict`, the discriminator's, 0 to
1, where the bundle has one; and `reason` where a text cannot be scored. Needs no torch.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false
# (pyarrow comes without types)
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gdcore import parts
from gdcore.artifacts import file_digest
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.serving.session import Precision, Session

PART = 4096
SCHEMA = pa.schema(
    [
        ("row", pa.uint64()),
        ("prompt", pa.string()),
        ("text", pa.string()),
        ("nll", pa.float64()),
        ("tokens", pa.uint32()),
        ("verdict", pa.float64()),
        ("reason", pa.string()),
    ]
)


class Given(NamedTuple):
    """One record of the input, or why it cannot be used."""

    prompt: str | None
    text: str | None
    reason: str | None


def texts_of(path: Path, text_column: str, prompt_column: str | None) -> Iterator[Given]:
    """The records of a file, cleaned as a corpus is; one that a corpus would quarantine says why.

    Raises UserError for a file that cannot be read, as the corpus does.
    """
    from gdcore.corpora.build import records
    from gdcore.corpora.config import CorpusConfig

    config = CorpusConfig(paths=(str(path),), text_column=text_column, prompt_column=prompt_column)
    for frame in records(config):
        for row in frame.select("prompt", "text", "reason").iter_rows():
            yield Given(*row)


def score(
    bundle: Path,
    path: Path,
    out: Path,
    text_column: str = "text",
    prompt_column: str | None = None,
    precision: Precision = "float32",
) -> Iterator[Progress]:
    """Write one row for each record of a file. Nothing is done where `out` already answers the same request.

    Raises UserError as `Session` does; for a model that answers prompts where there is no prompt column, and the other
    way round.
    """
    session = Session(bundle, precision=precision)
    if "model.onnx" not in session.manifest["files"]:
        raise UserError(f"{bundle} has no model.onnx, which scores texts: it was made for something else")
    if session.prompted and not prompt_column:
        raise UserError("this model answers prompts: name the column of what the texts answer with --prompt-column")
    if prompt_column and not session.prompted:
        raise UserError("this model knows no prompts: leave --prompt-column out")
    parts.apart(out, path)
    request = {
        "what": "scores",
        "bundle": file_digest(bundle / "manifest.json"),
        "texts": file_digest(path) if path.is_file() else "",  # what is no file is told by its reader
        "columns": [text_column, prompt_column],
        "precision": precision,
    }
    given = texts_of(path, text_column, prompt_column)
    yield from parts.written(out, request, given, None, lambda batch, first: _part(session, batch, first), SCHEMA, PART)


def summary(out: Path) -> dict[str, Any]:
    """How many rows a file has and how many were scored, why the others were not, and the mean NLL of all tokens."""
    nats, tokens = 0.0, 0
    for batch in pq.ParquetFile(out).iter_batches(columns=["nll", "tokens"]):
        counts_N = np.asarray(batch["tokens"].drop_null(), np.int64)
        nats += float(np.asarray(batch["nll"].drop_null()) @ counts_N)
        tokens += int(counts_N.sum())
    rows, refused = pq.ParquetFile(out).metadata.num_rows, parts.reasons(out)
    scored = rows - sum(refused.values())
    return {
        "rows": rows,
        "scored": scored,
        "refused": refused,
        "tokens": tokens,
        "nll": nats / tokens if tokens else None,
    }


def _part(session: Session, batch: list[Given], first: int) -> pa.Table:
    """The rows of one part; `first` is the number of its first row."""
    usable = [i for i, each in enumerate(batch) if each.reason is None]
    texts = [batch[i].text or "" for i in usable]
    prompts = [batch[i].prompt or "" for i in usable] if session.prompted else None
    reasons = [each.reason for each in batch]
    counts: dict[int, int] = {}
    for i, (given, whole) in zip(usable, session.lengths(texts, prompts), strict=True):
        if whole > session.context or given >= session.context:
            reasons[i] = f"too long: {whole} tokens, the model's context is {session.context}"
        else:
            counts[i] = whole - given
    texts = [batch[i].text or "" for i in counts]
    prompts = [batch[i].prompt or "" for i in counts] if session.prompted else None
    nll = dict(zip(counts, session.score(texts, prompts), strict=True))
    verdicts = session.judge(texts, prompts) if session.holds("discriminator.onnx") else []
    verdict = dict(zip(counts, verdicts, strict=False))
    rows = range(len(batch))
    columns = [
        range(first, first + len(batch)),
        [each.prompt for each in batch],
        [each.text for each in batch],
        [nll.get(i) for i in rows],
        [counts.get(i) for i in rows],
        [verdict.get(i) for i in rows],
        reasons,
    ]
    return parts.table(columns, SCHEMA)
