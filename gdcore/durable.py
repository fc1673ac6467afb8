"""Getting bytes onto the disk before going on."""

import os
from pathlib import Path


def synced(path: Path) -> None:
    """Have the system put a file's bytes, or a directory's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
