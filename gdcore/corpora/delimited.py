"""Reader of `.csv`: a header, then rows whose columns are text, prompt, label and group (RFC 4180).

Fields may be quoted and then hold separators, line breaks and doubled quotes. The separator is the comma; where the
header has none, the tab, and where it has none of those either, the semicolon. A row is known by the line on which it
begins. A quote that is never closed would swallow the rest of the file: its line is rejected, and reading goes on with
the next.
"""

import csv
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from gdcore.corpora.columns import CLASSES, named, require, with_column
from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.lines import BLOCK, MAX_LINE, read_lines
from gdcore.corpora.opened import Opened
from gdcore.errors import UserError

SUFFIX = ".csv"
HAS_COLUMNS = True
SEPARATORS = (",", "\t", ";")
FLAGS = ("bom", "encoding", "line_ending")

Fields = list[str]


class Line(NamedTuple):
    """A line as `read_lines` gives it."""

    text: str
    line: int
    reason: str | None
    bom: bool
    encoding: bool
    line_ending: bool


Row = tuple[Line, Fields]


class Unclosed(Exception):
    """A quote was not closed within MAX_LINE, or to the end of the file."""


def read(file: Opened, config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, …) and of the configured columns; a rejected row's `text` is all of its lines.

    Raises UserError when the header lacks a configured column, or has it twice.
    """
    columns, rows = named(config), Rows(file)
    found = next(rows, None)
    if found is None:
        return
    header = _header(*found, columns, file)
    places = {role: header.index(column) for role, column in columns.items()}
    for block in _blocks(rows):
        judged = [(line, fields, line.reason or _reason(fields, header)) for line, fields in block]
        lines = pl.DataFrame(
            [line._replace(reason=reason) for line, _, reason in judged],
            {"text": pl.String, "line": pl.UInt32, "reason": pl.String, **dict.fromkeys(FLAGS, pl.Boolean)},
            orient="row",
        ).with_columns(offset=file.taken, record="text")
        good = lines.filter(pl.col("reason").is_null())
        usable = [fields for _, fields, reason in judged if not reason]
        for role, place in places.items():
            values = [fields[place] for fields in usable]
            good = with_column(good, role, [value or None for value in values] if role in CLASSES else values)
        yield pl.concat([good, lines.filter(pl.col("reason").is_not_null())], how="diagonal").sort("line")


class Rows:
    """Iterates over the rows of a file: each as the line on which it begins, with all its text, and its fields.

    A line that cannot be taken apart has a reason and no fields.
    """

    def __init__(self, file: Opened) -> None:
        self.frames = read_lines(file)
        self.waiting = deque[Line]()
        self.limit, self.until = MAX_LINE, 0
        first = self.waiting[0].text if self._more() else ""
        self.separator = next((mark for mark in SEPARATORS if mark in first), ",")
        self.rows = self._rows()
        # Python's own limit is smaller than ours, and one for the whole process.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_LINE))

    def __iter__(self) -> Iterator[Row]:
        return self.rows

    def __next__(self) -> Row:
        return next(self.rows)

    def _more(self) -> bool:
        frame = next(self.frames, None)
        if frame is not None:
            self.waiting.extend(map(Line._make, frame.select(Line._fields).iter_rows()))
        return frame is not None

    def _rows(self) -> Iterator[Row]:
        taken: list[Line] = []
        reader = csv.reader(self._feed(taken), delimiter=self.separator)
        while self.waiting or self._more():
            if self.waiting[0].line > self.until:
                self.limit = MAX_LINE
            if self.waiting[0].reason:
                yield self.waiting.popleft(), []
                continue
            try:
                fields = next(reader)
            except (Unclosed, csv.Error):
                # Every line of what was swallowed may open a quote that nothing closes: look ahead less and less there.
                self.until, self.limit = max(self.until, taken[-1].line), self.limit // 2
                self.waiting.extendleft(reversed(taken[1:]))
                yield taken[0]._replace(reason="unclosed_quote"), []
                reader = csv.reader(self._feed(taken), delimiter=self.separator)
            else:
                yield _joined(taken), fields
            taken.clear()

    def _feed(self, taken: list[Line]) -> Iterator[str]:
        """Line after line for the parser, which asks for another while a quote is open."""
        size = 0
        while self.waiting or self._more():
            line = self.waiting[0]
            size = size + len(line.text) + 1 if taken else 0
            if line.reason or size > self.limit:
                break
            taken.append(self.waiting.popleft())
            yield line.text + "\n"
        raise Unclosed


def _joined(lines: list[Line]) -> Line:
    """The lines of one row as one."""
    if len(lines) == 1:
        return lines[0]
    flags = {flag: any(getattr(line, flag) for line in lines) for flag in FLAGS}
    return lines[0]._replace(text="\n".join(line.text for line in lines), **flags)


def _blocks(rows: Rows) -> Iterator[list[Row]]:
    """The rows, as many at a time as make up a block."""
    block, size = list[Row](), 0
    for row in rows:
        block.append(row)
        size += len(row[0].text) + 1
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


def _header(line: Line, header: Fields, columns: dict[str, str], file: Opened) -> Fields:
    """The names of the columns, once the configured ones are among them, and once each."""
    if line.reason:
        raise UserError(
            f"{file.path} has no header that could be read ({line.reason}): its first line is {line.text[:60]!r}. "
            "Expected the names of the columns."
        )
    require(columns, header, file)
    for role, column in columns.items():
        if header.count(column) > 1:
            raise UserError(
                f"{file.path} has the column {column!r}, for the {role}, {header.count(column)} times. Rename those "
                "that are not meant."
            )
    return header


def _reason(fields: Fields, header: Fields) -> str | None:
    """Why a row cannot be used; None where it can."""
    if not fields:
        return "empty"
    return None if len(fields) == len(header) else "wrong_number_of_fields"
