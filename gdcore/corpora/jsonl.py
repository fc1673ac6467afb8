"""Reader of `.jsonl`: one JSON object a line, whose columns are text, prompt, label and group."""

import json
from collections.abc import Iterator
from typing import Any, cast

import polars as pl

from gdcore.corpora.columns import named, require, with_column
from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.lines import read_lines
from gdcore.corpora.opened import Opened

SUFFIX = ".jsonl"
HAS_COLUMNS = True

Object = dict[str, Any]


def read(file: Opened, config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, …) and of the configured columns; a rejected line's `text` is the line itself.

    Raises UserError when a configured column is in none of the objects of the first block that has any.
    """
    columns = named(config)
    checked = False
    for lines in read_lines(file):
        parsed = [reason or _parse(line) for line, reason in lines.select("text", "reason").iter_rows()]
        objects = [value for value in parsed if not isinstance(value, str)]
        if objects and not checked:
            require(columns, list(dict.fromkeys(key for keys in objects for key in keys)), file)
            checked = True
        reasons = [value if isinstance(value, str) else None for value in parsed]
        lines = lines.with_columns(reason=pl.Series(reasons, dtype=pl.String), record="text")
        good = lines.filter(pl.col("reason").is_null())
        for role, column in columns.items():
            good = with_column(good, role, [keys.get(column) for keys in objects])
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
