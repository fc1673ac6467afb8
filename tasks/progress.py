"""Show how far a stage has come: a bar in the terminal, a progress artifact and log lines in Prefect.

Also where a stage may be stopped: a first Ctrl-C or SIGTERM is delivered between two steps, when the stage's state is
whole and closing its iterator lets it write a checkpoint; a second one strikes at once.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any, cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact

from gdcore.progress import Progress, bar
from tasks import show

log = logging.getLogger(__name__)
ARTIFACT_SECONDS = 2.0
LOG_SECONDS = 15.0


def relay(stage: str, progresses: Iterator[Progress]) -> None:
    """Run a stage's iterator to its end, showing what it yields."""
    shown, pace = _Artifact(stage), _Pace()
    log_due = time.monotonic() + LOG_SECONDS
    with bar(stage) as show_bar, _signals_between_steps() as deliver, closing_any(progresses):
        for progress in progresses:
            show_bar(progress)
            words = pace.words(progress)
            shown.update(progress, words)
            if time.monotonic() >= log_due:
                log_due = time.monotonic() + LOG_SECONDS
                log.info("%s: %s", stage, words)
            deliver()
    shown.finish(pace.at_the_end())


@contextmanager
def closing_any(iterator: Iterator[Any]) -> Iterator[None]:
    """Close a generator on the way out, so that its `finally` runs now and not when it is collected."""
    if hasattr(iterator, "close"):
        with closing(iterator):  # pyright: ignore[reportArgumentType]
            yield
    else:
        yield


class _Artifact:
    """The stage's progress artifact; a server that does not answer must not stop the work it would have shown."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.id: UUID | None = None
        self.due = time.monotonic() + ARTIFACT_SECONDS
        self.words = ""
        self.readings: Mapping[str, float] | None = None

    def update(self, progress: Progress, words: str) -> None:
        self.words = words
        self.readings = progress.readings or self.readings
        if time.monotonic() >= self.due:
            self._send(_percent(progress))
            self.due = time.monotonic() + ARTIFACT_SECONDS

    def finish(self, words: str) -> None:
        self.words = words
        if self.id:
            self._send(100.0)

    def _send(self, percent: float) -> None:
        try:
            if self.id is None:
                created = create_progress_artifact(percent, key=f"{self.stage}-progress", description=self.words)
                self.id = cast("UUID", created)
            else:
                update_progress_artifact(self.id, percent, description=self.words)
        except httpx.HTTPError as error:
            log.debug("the progress artifact was not updated: %s", error)
        if self.readings:
            show.markdown(f"{self.stage}-readings", show.figures(self.readings), f"{self.stage}: {self.words}")
            self.readings = None


class _Pace:
    """How fast a stage is, from where it began to count: a resumed one does not begin at nought."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.first = self.last = Progress(0, None)
        self.rate = 0.0

    def words(self, progress: Progress) -> str:
        """How far it has come, how fast, and how long it will take; a count that begins anew is timed anew."""
        now = time.monotonic()
        if progress.total != self.last.total or progress.done < self.last.done:
            self.since, self.first = now, progress
        self.last = progress
        done, seconds = progress.done - self.first.done, now - self.since
        self.rate = done / seconds if seconds else 0.0
        left = max(0, (progress.total or 0) - progress.done)
        return self._told(f"{timedelta(seconds=round(left / self.rate))} left" if left and self.rate else "")

    def at_the_end(self) -> str:
        """The same once it is over: how far it came may be less than all, and nothing is left to be done."""
        return self._told("")

    def _told(self, left: str) -> str:
        done, total = self.last.done, self.last.total
        count = f"{done:,} of {total:,}" if total else f"{done:,}"
        rate = f"{_rounded(self.rate)} a second" if self.rate else ""
        return " · ".join(filter(None, (count, rate, left, self.last.note)))


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _percent(progress: Progress) -> float:
    return min(100.0, 100.0 * progress.done / progress.total) if progress.total else 0.0


@contextmanager
def _signals_between_steps() -> Iterator[Callable[[], None]]:
    """Hold back a first SIGINT or SIGTERM until the function yielded here is called; let a second one through."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    held: list[tuple[int, FrameType | None]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        before = previous[signal.Signals(number)]
        if callable(before):
            before(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            pass_on(number, frame)
        held.append((number, frame))
        log.warning("stopping after this step; once more to stop at once")

    def deliver() -> None:
        if held:
            pass_on(*held.pop())

    # One that whoever started us has told us to ignore, as a shell does for what runs in its background, stays ignored.
    heeded = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, hold) for number in heeded}
    try:
        yield deliver
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    deliver()
