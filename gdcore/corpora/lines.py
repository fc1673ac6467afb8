"""Bytes of a file → its lines, in bounded memory: what the text and JSON-lines readers share.

LF, CRLF and a lone CR each end a line. A line that is not UTF-8 keeps U+FFFD where bytes could not be read; a line of
more than `MAX_LINE` bytes is cut there and rejected.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

BLOCK = 4 << 20
MAX_LINE = 4 << 20
BOM = b"\xef\xbb\xbf"
LONE_CR = re.compile(rb"\r(?!\n)")


def read_lines(path: Path) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, bom, line_ending, offset).

    `line` counts from 1; the booleans say what was repaired; `offset` is how many bytes have been read.
    """
    first, offset = 1, 0
    with path.open("rb") as file:
        bom = file.read(len(BOM)) == BOM
        if not bom:
            file.seek(0)
        for data, whole in _blocks(file):
            offset += len(data)
            frame = _split(data, first).with_columns(offset=offset)
            if not whole:
                frame = frame.with_columns(reason=pl.lit("line_too_long"))
            if first == 1 and bom:
                frame = frame.with_columns(bom=pl.col("line") == 1)
            first += len(frame)
            yield frame


def _split(data: bytes, first: int) -> pl.DataFrame:
    """Whole lines, in which a CR stands only before LF → one row each."""
    lines = data.decode("utf-8", "replace").split("\n")
    if data.endswith(b"\n"):
        lines.pop()
    text = pl.Series("text", lines, pl.String)
    return pl.DataFrame({"text": text}).select(
        pl.col("text").str.strip_suffix("\r"),
        line=pl.int_range(first, first + len(lines), dtype=pl.UInt32),
        reason=pl.lit(None, pl.String),
        bom=False,
        line_ending=pl.col("text").str.ends_with("\r"),
    )


def _blocks(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Blocks of whole lines, each with True; a line that outgrows MAX_LINE comes alone, cut, with False."""
    rest, skipping = b"", False
    for data in _with_lf(file):
        if skipping:
            end = data.find(b"\n") + 1
            data, skipping = (data[end:], False) if end else (b"", True)
        rest += data
        if end := rest.rfind(b"\n") + 1:
            yield rest[:end], True
            rest = rest[end:]
        if len(rest) > MAX_LINE:
            yield rest[:MAX_LINE], False
            rest, skipping = b"", True
    if rest:
        yield rest, True


def _with_lf(file: BinaryIO) -> Iterator[bytes]:
    """The bytes with each lone CR turned into CRLF; a CR at the end of a read waits for what follows it."""
    held = b""
    while data := file.read(BLOCK):
        data = held + data
        held = b"\r" if data.endswith(b"\r") else b""
        data = data.removesuffix(b"\r")
        yield LONE_CR.sub(b"\r\n", data) if b"\r" in data else data
    if held:
        yield b"\r\n"
