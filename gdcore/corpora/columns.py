"""Columns of a file → text, prompt, label and group: what the readers of JSON lines, CSV and parquet share."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.opened import Opened
from gdcore.errors import UserError

ROLES = ("text", "prompt", "label", "group")
CLASSES = ("label", "group")  # may be numbers and booleans too


def named(config: CorpusConfig) -> dict[str, str]:
    """Role → the column that plays it, for those that the configuration names."""
    columns = {role: getattr(config, f"{role}_column") for role in ROLES}
    return {role: column for role, column in columns.items() if column is not None}


def require(columns: dict[str, str], present: Sequence[str], file: Opened) -> None:
    """Raise UserError for a column that is not there: it is misspelt, and the message names those that are."""
    for role, column in columns.items():
        if column not in present:
            names = ", ".join(name[:40] if name.isprintable() else ascii(name[:40]) for name in present[:20])
            raise UserError(
                f"{file.path} has no column {column!r} for the {role}; its columns are: {names or 'none at all'}. "
                f"Name one of them with --{role}-column (corpus.{role}_column)."
            )


def with_column(frame: pl.DataFrame, role: str, values: list[Any]) -> pl.DataFrame:
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
