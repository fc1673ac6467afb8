"""Reader of `.jsonl`: one JSON object a line, whose columns are text, prompt, label and group."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import polars as pl

from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.lines import read_lines
from gdcore.errors import UserError

SUFFIX = ".jsonl"


class Row(NamedTuple):
    """One line read: `reason` says why it cannot be used, and `text` then holds the line as it stood."""

    text: str
    prompt: str | None
    label: str | None
    group: str | None
    reason: str | None


SCHEMA = dict.fromkeys(Row._fields, pl.String)


def read(path: Path, config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """Frames of (text, prompt, label, group, line, reason, …).

    Raises UserError when a configured column is in none of the objects of the first block that has any: it is
    misspelt, and the message names the columns there are.
    """
    columns = {
        role: column
        for role in ("text", "prompt", "label", "group")
        if (column := getattr(config, f"{role}_column")) is not None
    }
    checked = False
    for lines in read_lines(path):
        objects = [
            (line, reason) if reason else _parse(line) for line, reason in lines.select("text", "reason").iter_rows()
        ]
        seen = [keys for keys, reason in objects if reason is None]
        if seen and not checked:
            _require(columns, seen, path)
            checked = True
        rows = [
            Row(line, None, None, None, reason) if reason else _row(keys, columns, line)
            for (keys, reason), line in zip(objects, lines["text"], strict=True)
        ]
        yield pl.DataFrame(rows, SCHEMA, orient="row").with_columns(lines.select("line", "bom", "line_ending"))


def _parse(line: str) -> tuple[Any, str | None]:
    """A line's object, or the reason why it has none."""
    if not line.strip():
        return None, "empty"
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None, "invalid_json"
    return (cast(dict[str, Any], value), None) if isinstance(value, dict) else (None, "not_an_object")


def _require(columns: dict[str, str], objects: list[dict[str, Any]], path: Path) -> None:
    """Raise UserError for a column none of the objects has."""
    present = list(dict.fromkeys(key for keys in objects for key in keys))
    for role, column in columns.items():
        if column not in present:
            names = ", ".join(present[:20]) or "none at all"
            raise UserError(
                f"{path} has no column {column!r} for the {role}; its columns are: {names}. "
                f"Name one of them with --{role}-column (corpus.{role}_column)."
            )


def _row(keys: dict[str, Any], columns: dict[str, str], line: str) -> Row:
    """The columns of one object; a missing or null one, or one of a wrong type, rejects it."""
    values: dict[str, str | None] = dict.fromkeys(("text", "prompt", "label", "group"))
    for role, column in columns.items():
        value = keys.get(column)
        if value is None:
            return Row(line, None, None, None, f"missing_{role}")
        if role in ("label", "group") and isinstance(value, bool | int | float):
            value = json.dumps(value)
        if not isinstance(value, str):
            return Row(line, None, None, None, f"wrong_type_{role}")
        values[role] = value if value.isascii() else _without_surrogates(value)
    text = values["text"]
    assert text is not None
    return Row(text, values["prompt"], values["label"], values["group"], None)


def _without_surrogates(value: str) -> str:
    r"""Half of a surrogate pair (`"\ud83d"` escaped alone) stands for no character: U+FFFD takes its place."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
