"""Bytes of a file → its lines, in bounded memory: what the readers of text, JSON lines and CSV share.

LF, CRLF and a lone CR each end a line. A byte order mark says whether the bytes are UTF-8, UTF-16 or UTF-32; without
one they are UTF-8. A line that is not valid keeps U+FFFD where bytes could not be read; a line of more than `MAX_LINE`
bytes is cut there and rejected; so is the last line of a file that ends in the middle.
"""

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, getincrementaldecoder
from collections.abc import Iterator

import polars as pl

from gdcore.corpora.opened import Bytes, Opened
from gdcore.errors import UserError

BLOCK = 4 << 20
MAX_LINE = 4 << 20
MAX_LINES = (1 << 32) - 1  # which a line's number in a table has room for
BOMS = {  # UTF-32's begins with UTF-16's
    BOM_UTF8: "utf-8",
    BOM_UTF32_LE: "utf-32-le",
    BOM_UTF32_BE: "utf-32-be",
    BOM_UTF16_LE: "utf-16-le",
    BOM_UTF16_BE: "utf-16-be",
}
LONE_CR = re.compile(rb"\r(?!\n)")


class Prefixed:
    """Bytes that were read too early, then the rest."""

    def __init__(self, head: bytes, file: Bytes) -> None:
        self.head, self.file = head, file

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        head, self.head = self.head, b""
        return head or self.file.read(size)


class Transcoded:
    """Bytes of UTF-16 or UTF-32 as those of UTF-8; what is not valid becomes U+FFFD."""

    def __init__(self, file: Bytes, encoding: str) -> None:
        self.file, self.decoder = file, getincrementaldecoder(encoding)("replace")

    def read(self, size: int, /) -> bytes:
        """The next bytes, up to twice as many as asked for."""
        while data := self.file.read(size):
            if text := self.decoder.decode(data):
                return text.encode()
        text = self.decoder.decode(b"", final=True)
        self.decoder.reset()
        return text.encode()


def without_bom(file: Bytes) -> tuple[Bytes, str | None]:
    """The bytes as UTF-8 and without their byte order mark, and the encoding that it told."""
    head = b""
    while len(head) < 4 and (more := file.read(4 - len(head))):
        head += more
    bom = next((bom for bom in BOMS if head.startswith(bom)), b"")
    rest = Prefixed(head[len(bom) :], file)
    told = BOMS.get(bom)
    return (rest, told) if told in (None, "utf-8") else (Transcoded(rest, told), told)


def read_lines(file: Opened) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, bom, encoding, line_ending, offset).

    `line` counts from 1; the booleans say what was repaired; `offset` is how many bytes of the file have been read.
    """
    first = 1
    content, told = without_bom(file)
    for data, reason in _blocks(content, file):
        frame = _split(data, first).with_columns(offset=file.taken, reason=pl.lit(reason, pl.String))
        if first == 1 and told == "utf-8":
            frame = frame.with_columns(bom=pl.col("line") == 1)
        elif told not in (None, "utf-8"):
            frame = frame.with_columns(encoding=True)
        first += len(frame)
        if first > MAX_LINES:
            raise UserError(f"{file.path} has more than {MAX_LINES:,} lines. Divide it into several files.")
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
        bom=False,
        encoding=False,
        line_ending=pl.col("text").str.ends_with("\r"),
    )


def _blocks(content: Bytes, file: Opened) -> Iterator[tuple[bytes, str | None]]:
    """Blocks of whole lines, each with None; alone, and with the reason, a line that cannot be read to its end.

    Such a line is one that outgrows MAX_LINE, which is cut there, and the last one of a file that has a flaw; the
    latter is there, if only as an empty line, in every such file, or nothing would tell of it.
    """
    rest, skipping = b"", False
    for data in _with_lf(content):
        if skipping:
            end = data.find(b"\n") + 1
            data, skipping = (data[end:], False) if end else (b"", True)
        rest += data
        if end := rest.rfind(b"\n") + 1:
            yield rest[:end], None
            rest = rest[end:]
        if len(rest) > MAX_LINE:
            yield rest[:MAX_LINE], "line_too_long"
            rest, skipping = b"", True
    if rest or file.flaw:
        yield rest, file.flaw


def _with_lf(content: Bytes) -> Iterator[bytes]:
    """The bytes with each lone CR turned into CRLF; a CR at the end of a read waits for what follows it."""
    held = b""
    while data := content.read(BLOCK):
        data = held + data
        held = b"\r" if data.endswith(b"\r") else b""
        data = data.removesuffix(b"\r")
        yield LONE_CR.sub(b"\r\n", data) if b"\r" in data else data
    if held:
        yield b"\r\n"
