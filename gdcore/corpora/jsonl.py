"""Reader of `.jsonl`: one JSON object a line, whose columns are text, prompt, label and group."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl

from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.lines import read_lines
from gdcore.errors import UserError

SUFFIX = ".jsonl"
CLASSES = ("label", "group")  # may be numbers and booleans too

Object = dict[str, Any]


def read(path: Path, config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, …) and of the configured columns; a rejected line's `text` is the line itself.

    Raises UserError when a configured column is in none of the objects of the first block that has any: it is
    misspelt, and the message names the columns there are.
    """
    named = {role: getattr(config, f"{role}_column") for role in ("text", "prompt", "label", "group")}
    columns = {role: column for role, column in named.items() if column is not None}
    checked = False
    for lines in read_lines(path):
        parsed = [reason or _parse(line) for line, reason in lines.select("text", "reason").iter_rows()]
        objects = [value for value in parsed if not isinstance(value, str)]
        if objects and not checked:
            _require(columns, objects, path)
            checked = True
        reasons = [value if isinstance(value, str) else None for value in parsed]
        lines = lines.with_columns(reason=pl.Series(reasons, dtype=pl.String), record="text")
        good = lines.filter(pl.col("reason").is_null())
        for role, column in columns.items():
            good = _with_column(good, role, [keys.get(column) for keys in objects])
        yield pl.concat([good, lines.filter(pl.col("reason").is_not_null())], how="diagonal").sort("line")


def _parse(line: str) -> Object | str:
    """A line's object, or the reason why it has none."""
    if not line.strip():
        return "empty"
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return "invalid_json"
    return cast(Object, value) if isinstance(value, dict) else "not_an_object"


def _require(columns: dict[str, str], objects: Sequence[Object], path: Path) -> None:
    """Raise UserError for a column none of the objects has."""
    present = list(dict.fromkeys(key for keys in objects for key in keys))
    for role, column in columns.items():
        if column not in present:
            names = ", ".join(present[:20]) or "none at all"
            raise UserError(
                f"{path} has no column {column!r} for the {role}; its columns are: {names}. "
                f"Name one of them with --{role}-column (corpus.{role}_column)."
            )


def _with_column(frame: pl.DataFrame, role: str, values: list[Any]) -> pl.DataFrame:
    """Set one column; where its value is missing or of a wrong type, and nothing was wrong before, fill `reason`."""
    texts = [value if isinstance(value, str) else _text(value, role) for value in values]
    try:
        column = pl.Series(role, texts, pl.String)
    except UnicodeEncodeError:
        column = pl.Series(role, [_without_surrogates(text) if text else text for text in texts], pl.String)
    if not column.null_count():
        return frame.with_columns(column)
    missing = pl.Series([value is None for value in values])
    why = pl.when(missing).then(pl.lit(f"missing_{role}")).otherwise(pl.lit(f"wrong_type_{role}"))
    return frame.with_columns(
        column.fill_null("") if role == "text" else column,
        reason=pl.coalesce("reason", pl.when(column.is_null()).then(why)),
    )


def _text(value: Any, role: str) -> str | None:
    """A class as text; nothing else becomes text."""
    return json.dumps(value) if role in CLASSES and isinstance(value, bool | int | float) else None


def _without_surrogates(value: str) -> str:
    r"""Half of a surrogate pair (`"\ud83d"` escaped alone) stands for no character: U+FFFD takes its place."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
