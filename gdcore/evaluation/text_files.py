"""Text files of anybody's making, for the evaluator: strict, since a line left out would change a figure unseen.

(The corpus stage, which may throw records out, has its own readers.)
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from gdcore.errors import UserError

JSON_LINES = (".jsonl", ".ndjson")
TEXT = "text"
"""Key of the text in an object, unless another is named."""


class Records(NamedTuple):
    """The texts of a file, in order."""

    texts: list[str]
    labels: list[str] | None = None
    """Each text's class, where a column of them was named."""


def read_texts(path: Path) -> list[str]:
    """The lines of a UTF-8 file, one text each; an empty line is an empty text. A name in `.gz` is unpacked.

    Raises UserError for a file that is missing, not UTF-8, or without any text.
    """
    lines = _lines(path)
    if not any(map(str.strip, lines)):
        raise UserError(f"{path}: holds no text; expected one text a line")
    return lines


def read_records(path: Path, text_column: str | None = None, label_column: str | None = None) -> Records:
    """Texts, and labels where they are asked for, of a file of lines or of `.jsonl` (either also `.gz`).

    Raises UserError where `read_texts` does; for a line that is no JSON object or lacks a column; and for columns
    asked of a file that has none.
    """
    if Path(path.name.lower().removesuffix(".gz")).suffix not in JSON_LINES:
        if text_column or label_column:
            name = text_column or label_column
            raise UserError(f"{path}: plain text has no column {name!r}; give .jsonl, one object a line, or no column")
        return Records(read_texts(path))
    text_column = text_column or TEXT
    texts: list[str] = []
    labels: list[str] = []
    for number, keys in _objects(path):
        text = _column(path, number, keys, text_column, "text")
        if not isinstance(text, str):
            raise UserError(f"{path}, line {number}: {text_column!r} is not a text but {json.dumps(text)[:60]}")
        # A text is one line wherever it goes from here.
        texts.append(" ".join(text.encode("utf-8", "replace").decode().splitlines()))
        if label_column:
            label = _column(path, number, keys, label_column, "label")
            if not isinstance(label, str | int | float):
                raise UserError(
                    f"{path}, line {number}: the label {label_column!r} is {json.dumps(label)[:60]}; "
                    "expected a string, number or boolean"
                )
            labels.append(label if isinstance(label, str) else json.dumps(label))
    if not any(map(str.strip, texts)):
        raise UserError(f"{path}: holds no text; expected objects with a text under {text_column!r}")
    return Records(texts, labels if label_column else None)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a `.jsonl` file with their line numbers; blank lines are passed over."""
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            value: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}); expected one object a line") from error
        if not isinstance(value, dict):
            raise UserError(f"{path}, line {number}: {line[:60]} is no JSON object; expected one object a line")
        yield number, cast("dict[str, Any]", value)


def _column(path: Path, number: int, keys: dict[str, Any], column: str, role: str) -> Any:
    if column not in keys:
        names = ", ".join(list(keys)[:20]) or "none"
        raise UserError(
            f"{path}, line {number}: no column {column!r} for the {role}; its columns are: {names}. "
            f"Name one of them with --{role}-column."
        )
    return keys[column]


def _lines(path: Path) -> list[str]:
    """What stands between line ends (LF, CRLF; CR where there is no LF), without a byte-order mark."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not UTF-8; expected a text file, one text a line; convert it") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error}); pack it again, or give it unpacked") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a text file, one text a line") from error
    if "\0" in text:
        raise UserError(f"{path}: a binary file; expected a text file, one text a line")
    # Not splitlines(): it also breaks at U+2028 and at control signs that may stand inside a text.
    text = text if "\n" in text else text.replace("\r", "\n")
    return [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
