"""From a name in a configuration to files that can be read: a file, a folder searched in depth, or a glob.

What is named is used, or it is said why not; nothing is waited for (FIFOs), and no search goes round in circles.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from gdcore.corpora import columnar, delimited, jsonl, text
from gdcore.corpora.lines import without_bom
from gdcore.corpora.opened import CODECS, Opened, opened
from gdcore.errors import UserError

READERS = {module.SUFFIX: module for module in (text, jsonl, delimited, columnar)}
KINDS = ", ".join(READERS) + f" (each also packed: {' or '.join(CODECS)})"

# Files that are something else under a text's name.
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    columnar.MAGIC: "parquet",
    b"%PDF": "PDF",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\x7fELF": "ELF",
}
HEAD = 1 << 16
MAX_CONTROL = 0.05  # share of control bytes in the head of a file above which it is no text,
FEW_CONTROL = 16  # unless they are so few that they may be a small file's accidents
CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b")) + b"\x7f"

LASTING = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG)  # trying again would not help
ODD = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


def reader(path: Path) -> ModuleType | None:
    """The module that reads files of this name; None where there is none."""
    inner = path.with_suffix("") if path.suffix.lower() in CODECS else path
    return READERS.get(inner.suffix.lower())


def expand(pattern: str) -> list[Path]:
    """A file, folder or glob → files. What is named outright must be usable; a folder's other files are passed over."""
    path = Path(pattern).expanduser()
    try:
        return _search(path, pattern)
    except OSError as error:
        if error.errno not in LASTING:
            raise
        raise UserError(
            f"{_shown(error.filename or path)} cannot be read: {error.strerror}. Check its permissions, and where it "
            "leads."
        ) from error


def _search(path: Path, pattern: str) -> list[Path]:
    mode = _mode(path)
    if stat.S_ISREG(mode):
        if reader(path) is None:
            raise UserError(
                f"{path} is not a kind of file that can be read: expected {KINDS}. "
                "Convert it, or rename it if it is one of these in all but name."
            )
        if not _size(path) or not _checked(path):
            raise UserError(f"{path} is empty: a corpus needs at least some lines of text. Give another file.")
        return [path.resolve()]
    if stat.S_ISDIR(mode):
        found, where = sorted(_walk(path)), f"The folder {path}"
    elif mode:
        raise UserError(f"{path} is {_odd(mode)}, not a file. Give a file ({KINDS}), a folder or a glob.")
    elif any(mark in pattern for mark in "*?["):
        found, where = sorted(_glob(path)), f"The pattern {pattern}"
    else:
        raise UserError(f"{path} does not exist (looked in {Path.cwd()}). Give a file ({KINDS}), a folder or a glob.")
    files = [path for path in found if not path.is_dir()]
    usable = [path.resolve() for path in files if reader(path) and _is_file(path) and _size(path) and _checked(path)]
    if not usable:
        others = sorted({path.suffix or path.name for path in files})
        has = f"what is there: {', '.join(others[:10])}" if others else "there is no file there at all"
        raise UserError(
            f"{where} holds no file with text in it: expected {KINDS}; {has}. Give another path, or convert the files."
        )
    return usable


def _mode(path: Path) -> int:
    """What kind of thing a path is; 0 where it is nothing. Raises OSError where that cannot be told."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _odd(mode: int) -> str:
    return ODD.get(stat.S_IFMT(mode), "something else")


def _is_file(path: Path) -> bool:
    """True; raises UserError for what has a text file's name, and is none."""
    mode = _mode(path)
    if not stat.S_ISREG(mode):
        what = _odd(mode) if mode else "a link that leads nowhere"
        raise UserError(f"{_shown(path)} is {what}, not a file. Take it away, or name the files that are meant.")
    return True


def _walk(folder: Path) -> Iterator[Path]:
    """A folder's files in depth, hidden ones left out; links to folders are not followed, so that there is an end."""

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def _glob(pattern: Path) -> Iterator[Path]:
    """What matches. As in a shell, hidden files must be named as such; links to folders as above."""
    root, parts = Path(pattern.anchor), list(pattern.parts[bool(pattern.anchor) :])
    parts = [part if part == "**" else part.replace("**", "*") for part in parts]
    if parts[-1] == "**":
        parts.append("*")
    hidden = sum(part.startswith(".") for part in pattern.parts)
    for path in root.glob("/".join(parts)):
        if sum(part.startswith(".") for part in path.parts) <= hidden:
            yield path


def _size(path: Path) -> int:
    return path.stat().st_size


def _shown(path: Any) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _checked(path: Path) -> bool:
    """Is there anything in it? Raises UserError where its head cannot be read, or does not look like text."""
    with opened(path) as file:
        if reader(path) is columnar:
            columnar.check(file)
            return True
        return _check_text(file)


def _check_text(file: Opened) -> bool:
    content, head = without_bom(file)[0], b""
    while len(head) < HEAD and (more := content.read(HEAD - len(head))):
        head += more
    if file.flaw and not head:
        raise UserError(
            f"{file.path} is no {CODECS[file.path.suffix.lower()]} data that can be read: it is {file.flaw} from its "
            "first byte on. Fetch it again, or rename it to what it is."
        )
    kind = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)
    num_control = len(head) - len(head.translate(None, CONTROL))
    if kind is None and num_control > max(MAX_CONTROL * len(head), FEW_CONTROL):
        kind = "binary"
    if kind:
        raise UserError(
            f"{file.path} holds {kind} data, not UTF-8 text. Convert it to UTF-8 text, one text or object a line."
        )
    return bool(head)
