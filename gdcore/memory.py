"""The most memory this process has held since it was last asked to forget: what one stage takes, not what came before.

Linux keeps that figure and can be told to start anew. Elsewhere it is the most since the process began.
"""

import resource
import sys
from pathlib import Path

STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
KILOBYTE = 1 if sys.platform == "darwin" else 1024
"""What getrusage counts memory in."""


def forget_peak() -> None:
    """Start anew from what is held now."""
    if FORGET.exists():
        FORGET.write_text("5")


def peak() -> int:
    """Bytes."""
    if STATUS.exists():
        return next(int(line.split()[1]) * 1024 for line in STATUS.read_text().splitlines() if line[:6] == "VmHWM:")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
