"""Reader of `.csv`: a header, then rows whose columns are text, prompt, label and group (RFC 4180).

Fields may be quoted and then hold separators, line breaks and doubled quotes. The separator is the comma; where the
header has none, the tab, and where it has none of those either, the semicolon. A row is known by the line on which it
begins. A quote that is never closed would swallow the rest of the file: its line is rejected, and reading goes on with
the next.
"""

import csv
from collections import deque
from collections.abc import Iterator
from itertools import chain
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


SCHEMA = {"text": pl.String, "line": pl.UInt32, "reason": pl.String, **dict.fromkeys(FLAGS, pl.Boolean)}
Row = tuple[Line, Fields]
Block = tuple[pl.DataFrame, list[Fields]]
"""Rows as SCHEMA has them, by the line on which each begins and with all its text, and the fields of each."""


class Unclosed(Exception):
    """A quote was not closed within MAX_LINE, or to the end of the file."""


def read(file: Opened, config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, …) and of the configured columns; a rejected row's `text` is all of its lines.

    Raises UserError when the header lacks a configured column, or has it twice.
    """
    columns, header = named(config), list[str]()
    for lines, rows in Rows(file).blocks():
        if not header:
            header = _header(lines, rows, columns, file)
            lines, rows = lines[1:], rows[1:]
            if not rows:
                continue
        why = [None if len(row) == len(header) else "wrong_number_of_fields" if row else "empty" for row in rows]
        lines = lines.with_columns(
            reason=pl.coalesce("reason", pl.Series(why, dtype=pl.String)), record="text", offset=file.taken
        )
        good = lines.filter(pl.col("reason").is_null())
        usable = [row for row, reason in zip(rows, lines["reason"], strict=True) if reason is None]
        for role, column in columns.items():
            place = header.index(column)
            values = [row[place] for row in usable]
            good = with_column(good, role, [value or None for value in values] if role in CLASSES else values)
        yield pl.concat([good, lines.filter(pl.col("reason").is_not_null())], how="diagonal").sort("line")


class Rows:
    """The rows of a file. A line that cannot be taken apart has a reason and no fields."""

    def __init__(self, file: Opened) -> None:
        self.frames = read_lines(file)
        self.waiting = deque[Line]()
        self.limit, self.until = MAX_LINE, 0
        first = next(self.frames, None)
        line = "" if first is None else first["text"][0]
        self.separator = next((mark for mark in SEPARATORS if mark in line), ",")
        if first is not None:
            self.frames = chain([first], self.frames)
        # Python's own limit is smaller than ours, and one for the whole process.
        csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_LINE))

    def blocks(self) -> Iterator[Block]:
        """All of them in the order of the file."""
        for frame in self.frames:
            rows = self._one_a_line(frame)
            if rows is not None:
                yield frame.select(*SCHEMA), rows
                continue
            self._wait_for(frame)
            yield from _blocks(self._rows())

    def _one_a_line(self, frame: pl.DataFrame) -> list[Fields] | None:
        """The rows of some lines where each line is one; None where a row has several, or a quote is left open."""
        if frame["reason"][0] is not None:
            return [[]] * len(frame)
        try:
            rows = list(csv.reader(chain(frame["text"], [""]), delimiter=self.separator))
        except csv.Error:
            return None
        return rows[:-1] if len(rows) == len(frame) + 1 else None

    def _wait_for(self, frame: pl.DataFrame) -> None:
        self.waiting.extend(map(Line._make, frame.select(*SCHEMA).iter_rows()))

    def _more(self) -> bool:
        frame = next(self.frames, None)
        if frame is not None:
            self._wait_for(frame)
        return frame is not None

    def _rows(self) -> Iterator[Row]:
        """The rows of the lines that wait, and of as many more as it takes to close a quote."""
        taken: list[Line] = []
        reader = csv.reader(self._feed(taken), delimiter=self.separator)
        while self.waiting:
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


def _blocks(rows: Iterator[Row]) -> Iterator[Block]:
    """The rows, as many at a time as make up a block."""
    block, size = list[Row](), 0
    for row in rows:
        block.append(row)
        size += len(row[0].text) + 1
        if size >= BLOCK:
            yield _block(block)
            block, size = [], 0
    if block:
        yield _block(block)


def _block(rows: list[Row]) -> Block:
    return pl.DataFrame([line for line, _ in rows], SCHEMA, orient="row"), [fields for _, fields in rows]


def _header(lines: pl.DataFrame, rows: list[Fields], columns: dict[str, str], file: Opened) -> Fields:
    """The names of the columns, once the configured ones are among them, and once each."""
    text, reason, header = lines["text"][0], lines["reason"][0], rows[0]
    if reason or not header:
        raise UserError(
            f"{file.path} has no header that could be read ({reason or 'empty'}): its first line is {text[:60]!r}. "
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
