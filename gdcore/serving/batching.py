"""Continuous batching: texts of all requests share the steps of one thread, and join and leave between them.

Where the model's state is of one size (recurrent generators), a text that comes in joins those that are being written.
Where it grows (transformer), texts that share a step must have been read equally far; what comes in together is then
written together, in one of `COHORTS` groups, and what comes later waits until a group has ended. What a text becomes
depends on neither.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, Thread

from gdcore.serving.stepping import Group, Stepper, Writing

COHORTS = 4
"""Groups at a time of a model whose state grows: each costs a run a turn."""
SLOWEST = 30
"""Seconds a client is told to wait, at most."""
log = logging.getLogger(__name__)


class Busy(Exception):
    """More texts are waiting than may wait; `seconds` is when to try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"all slots are taken and the queue is full: try again in {seconds} s")
        self.seconds = seconds


class Closed(Exception):
    """The batcher takes no more texts."""


class Batcher:
    """Writes texts in a thread of its own."""

    def __init__(
        self,
        stepper: Stepper,
        progressed: Callable[[list[Writing]], None],
        slots: int = 64,
        queue: int = 512,
        stepped: Callable[[int, float], None] = lambda texts, seconds: None,
    ) -> None:
        """At most `slots` texts are written at a time and `queue` wait.

        In the batcher's thread `progressed` is told, after each turn, which texts went on or ended; `stepped`, how
        many texts a step read, and how long it took.
        """
        self._stepper, self._progressed, self._stepped = stepper, progressed, stepped
        self.slots, self.queue = slots, queue
        self._waiting: deque[Writing] = deque()
        self._groups: list[Group] = []
        self._changed = Condition()
        self._closed = False
        self._seconds_a_text, self._last_end = 0.0, time.perf_counter()
        self.failure: BaseException | None = None
        """Why the thread died; it never should."""
        self._thread = Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return sum(len(group.writings) for group in self._groups)

    @property
    def waiting(self) -> int:
        """Texts that wait for a slot."""
        return len(self._waiting)

    def submit(self, writings: Sequence[Writing]) -> None:
        """Have these texts written, all or none. Raises Busy where the queue has no room for them, or Closed."""
        with self._changed:
            if self._closed or self.failure:
                raise Closed("this model is being taken away") from self.failure
            free = max(0, self.slots - self.running)
            if len(self._waiting) + len(writings) > self.queue + free:
                self._waiting = deque(each for each in self._waiting if not each.over)
                if len(self._waiting) + len(writings) > self.queue + free:
                    seconds = math.ceil(self._seconds_a_text * len(self._waiting))
                    raise Busy(min(max(1, seconds), SLOWEST))
            self._waiting.extend(writings)
            self._changed.notify()

    def close(self) -> None:
        """Take no more texts; the thread ends when the last is written."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread's end; whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        try:
            while self._admit():
                self._turn()
        except BaseException as error:
            log.exception("batching failed")
            with self._changed:
                self.failure = error
                lost = [*(each for group in self._groups for each in group.writings), *self._waiting]
                self._groups, self._waiting = [], deque()
            for each in lost:
                each.cancelled = True
            self._progressed(lost)

    def _admit(self) -> bool:
        """Wait for work, give free slots to those who wait; whether there is anything to do."""
        with self._changed:
            while not (self._waiting or self._groups or self._closed):
                self._changed.wait()
                self._last_end = time.perf_counter()  # to have had nothing to do is not to be slow
            for group in self._groups:
                group.leave()
            self._groups = [group for group in self._groups if group.writings]
            coming: dict[int, list[Writing]] = {}
            if not self._stepper.grows or len(self._groups) < COHORTS:
                for _ in range(self.slots - self.running):
                    if not self._waiting:
                        break
                    if not (writing := self._waiting.popleft()).over:
                        coming.setdefault(writing.manner.top_k, []).append(writing)
            for top_k, writings in coming.items():
                joined = None if self._stepper.grows else next((g for g in self._groups if g.top_k == top_k), None)
                if joined:
                    joined.join(writings)
                else:
                    self._groups.append(Group(self._stepper, writings))
            return bool(self._groups or self._waiting) or not self._closed

    def _turn(self) -> None:
        """One step of every group."""
        went_on: list[Writing] = []
        for group in self._groups:
            members = list(group.writings)
            begun = time.perf_counter()
            group.step()
            self._stepped(len(members), time.perf_counter() - begun)
            went_on += members
        self._estimate(sum(each.over for each in went_on))
        self._progressed(went_on)

    def _estimate(self, ended: int) -> None:
        """Remember, as a running mean, how long it takes until another text has ended."""
        if ended:
            now = time.perf_counter()
            self._seconds_a_text += 0.1 * ((now - self._last_end) / ended - self._seconds_a_text)
            self._last_end = now
