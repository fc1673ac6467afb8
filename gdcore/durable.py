"""Getting bytes onto the disk before going on."""

import os
import secrets
from pathlib import Path


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
