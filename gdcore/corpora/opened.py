"""A file of the corpus, open: its bytes, unpacked where its name ends in `.gz` or `.zst`, and proof of what was read.

Unpacking is bounded. A file that is cut or damaged gives what stands before, to the last byte, and then says so in
`flaw`. What was read is hashed on the way, so that a file that changes under the reader is found out.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# (pyarrow comes without types)
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from gdcore.errors import UserError

CODECS = {".gz": "gzip", ".zst": "zstd"}
CHUNK = 1 << 16
FREE = 64 << 20
"""Bytes that any file may unpack to;"""
MAX_RATIO = 200
"""beyond those, each of its bytes gives so many at most (text gives 3 to 10, logs up to 50),"""
MAX_UNPACKED = 1 << 40
"""and all of them together so many."""


class Bytes(Protocol):
    """What can be read from front to back."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most; none at the end."""
        ...


class Hashed:
    """A file as it lies on the disk, whose bytes are counted and hashed as they are read."""

    closed = False  # asked for by pyarrow

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.taken, self.sha256 = file, 0, sha256()

    def read(self, size: int, /) -> bytes:
        """The next bytes."""
        data = self.file.read(size)
        self.taken += len(data)
        self.sha256.update(data)
        return data

    def close(self) -> None:
        """Nothing: the file is closed by who opened it."""


class Dribble:
    """A file whose bytes come one at a time from some place on, so that no byte is judged together with the next."""

    closed = False

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.file, self.start = file, start

    def read(self, size: int, /) -> bytes:
        """The next bytes, or the next byte."""
        return self.file.read(max(1, min(size, self.start - self.file.tell())))

    def close(self) -> None:
        """Nothing, as above."""


class Opened:
    """A file being read; `flaw` is the reason why its end could not be read, once that is known."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file
        self.codec = CODECS.get(path.suffix.lower())
        self.flaw: str | None = None
        self.given = 0
        self.before = os.fstat(file.fileno())
        self.raw = Hashed(file)
        self.unpacked: Bytes = _unpacking(self.raw, self.codec) if self.codec else self.raw

    @property
    def taken(self) -> int:
        """How many bytes of the file have been read."""
        return self.raw.taken

    def read(self, size: int, /) -> bytes:
        """The next bytes, unpacked. Raises UserError for a file that unpacks to far more than text does."""
        if not self.codec:
            return self.raw.read(size)
        data = bytearray()  # codecs give little at a time, and whoever asks for a block works on it as a whole
        while len(data) < size and (more := self._read(size - len(data))):
            data += more
            self.given += len(more)
            check_unpacked(self.path, self.given, self.taken)
        return bytes(data)

    def _read(self, size: int) -> bytes:
        if self.flaw:
            return b""
        try:
            return self.unpacked.read(min(size, CHUNK))
        except OSError as error:
            if error.errno is not None:  # the disk's, not the codec's
                raise
            self.flaw = "cut" if "Truncated" in str(error) else "damaged"
            return self._last_bytes()

    def _last_bytes(self) -> bytes:
        """What the codec threw away with its complaint: all that can be unpacked beyond what was given."""
        data = bytearray()
        with self.path.open("rb") as file:
            again = _unpacking(Dribble(file, self.taken - CHUNK), self.codec)
            try:
                todo = self.given
                while todo:
                    todo -= len(again.read(min(todo, CHUNK)))
                while byte := again.read(1):
                    data += byte
            except OSError:
                pass
        return bytes(data)

    def check_unchanged(self, expected: str | None) -> None:
        """Raise UserError where the file is no longer what it was when it was opened, or when it was identified.

        `expected` is the sha256 of its bytes, where it is known.
        """
        while self.raw.read(1 << 20):  # what follows a flaw
            pass
        now, then = os.fstat(self.file.fileno()), self.before
        if self.taken != then.st_size or now.st_size != then.st_size:
            how = f"its {then.st_size:,} bytes have become {max(now.st_size, self.taken):,}"
        elif now.st_mtime_ns != then.st_mtime_ns:
            how = "it was written to"
        elif expected and self.raw.sha256.hexdigest() != expected:
            how = "its bytes are not those that it had when the run began"
        else:
            return
        raise UserError(
            f"{self.path} changed while it was read: {how}. Nothing of it is used; start again once nothing writes "
            "to it, or give a copy."
        )


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a file. Raises UserError where that is not allowed, or where it is gone."""
    try:
        file = path.open("rb")
    except (PermissionError, FileNotFoundError) as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}. Check its permissions, and that it is there."
        ) from error
    with file:
        yield Opened(path, file)


def check_unpacked(path: Path, given: int, taken: int) -> None:
    """Raise UserError for a file that has given `given` bytes out of `taken`, if that is more than text does."""
    if given > FREE + MAX_RATIO * taken or given > MAX_UNPACKED:
        raise UserError(
            f"{path} unpacks to more than {given - 1:,} bytes after {taken:,} of its own: text does not pack so small, "
            f"so it is not read further (at most {MAX_RATIO} to one, and {MAX_UNPACKED >> 40} TiB). If it is what you "
            "mean to use, unpack it, or write it without compression, and give that."
        )


def _unpacking(raw: Bytes, codec: str | None) -> Bytes:
    return pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec)
