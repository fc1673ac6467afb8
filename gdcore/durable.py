"""Getting bytes onto the disk before going on, and saying so where it has no room for them."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdcore.errors import UserError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NEARLY_NOTHING = 2**16
"""With so few bytes free, whatever failed failed for want of room."""


def synced(path: Path) -> None:
    """Have the system put a file's bytes, or a directory's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, text: str) -> None:
    """Replace a file's text in one step: a reader, after a power cut too, sees the old or the new."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    draft.write_text(text, "utf-8")
    synced(draft)  # else the name may reach the disk before the bytes do
    os.replace(draft, path)
    synced(path.parent)


@contextmanager
def room(what: str, folder: Path) -> Iterator[None]:
    """Raises UserError, not what a library makes of it, where `what` fails because the disk of `folder` is full."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if _want_of_room(error) or shutil.disk_usage(folder).free < NEARLY_NOTHING:
            raise UserError(
                f"no space is left for {what} in {folder}. Free some (`gdflow store` lists what is there) and start "
                "again: what is complete is reused."
            ) from error
        raise


def _want_of_room(error: BaseException) -> bool:
    """Whether an error, or what it came of, says that a disk is full: by its number or, where it has none, in words."""
    said = str(error)
    if getattr(error, "errno", None) in NO_ROOM or any(os.strerror(number) in said for number in NO_ROOM):
        return True
    cause = error.__cause__ or error.__context__
    return cause is not None and _want_of_room(cause)
