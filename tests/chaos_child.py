"""`gdflow`, killed from within by SIGKILL: at its n-th change to the home, or after so many seconds.

    python tests/chaos_child.py changes:37 HOME -- run --preset tiny …
    python tests/chaos_child.py seconds:9.5 HOME -- run --preset tiny …

A change is a file of the home opened for writing, renamed, linked or removed, or a folder made or removed. Python's
audit events tell of each before it happens, so that such a kill falls between two of them, at the same place each time;
a kill by the clock may also fall into what libraries write without Python's knowledge.
"""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.rmtree")


def kill_at(number: int, home: Path) -> None:
    """Count what is about to change in the home, and end at the number-th."""
    inside, process, count = f"{home.resolve()}/", os.getpid(), 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = arguments
            changes = isinstance(flags, int) and bool(flags & WRITING)
        elif event in CHANGES:
            path, changes = arguments[0], True
        else:
            return
        # A server that this process starts has a home of its own, and log files are no part of the result.
        if changes and isinstance(path, str | os.PathLike) and os.fspath(path).startswith(inside):
            count += 1
            if count == number and os.getpid() == process:
                os.kill(process, signal.SIGKILL)

    sys.addaudithook(watch)


def kill_after(seconds: float) -> None:
    """End when the time has come, whatever is being done."""
    clock = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    clock.daemon = True
    clock.start()


if __name__ == "__main__":
    when, home, _, *command = sys.argv[1:]
    kind, _, number = when.partition(":")
    if kind == "changes":
        kill_at(int(number), Path(home))
    elif kind == "seconds":
        kill_after(float(number))
    sys.argv = ["gdflow", *command]
    from flows.cli import app

    app()
