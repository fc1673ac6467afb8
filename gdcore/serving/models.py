"""The models of a server: each opened, with its batcher; one may take another's place while requests are answered."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from gdcore.errors import UserError
from gdcore.serving.batching import Batcher, Busy
from gdcore.serving.limits import Limits, Refused
from gdcore.serving.observing import Metrics
from gdcore.serving.session import Precision, Session
from gdcore.serving.stepping import Writing

T = TypeVar("T")
DIRECT = 2
"""Calls of a model beside its batcher (scores, classes) that run at a time."""
DIRECT_WAITING = 64


class Post:
    """Wakes, in the event loop, those who wait for texts that a batcher's thread writes."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Weak: a stream that is broken off before it began says goodbye to nobody.
        self._events: WeakKeyDictionary[Writing, asyncio.Event] = WeakKeyDictionary()
        self._streamed: WeakSet[Writing] = WeakSet()

    def expect(self, writing: Writing, event: asyncio.Event, each_token: bool) -> None:
        """Set the event when the text has ended, or whenever it went on."""
        self._events[writing] = event
        if each_token:
            self._streamed.add(writing)

    def forget(self, writing: Writing) -> None:
        self._events.pop(writing, None)
        self._streamed.discard(writing)

    def progressed(self, writings: list[Writing]) -> None:
        """In the batcher's thread. One message for all, for each costs more than a step does."""
        due = [each for each in writings if each.over or each in self._streamed]
        if due:
            self._loop.call_soon_threadsafe(self._wake, due)

    def _wake(self, due: list[Writing]) -> None:
        for each in due:
            if event := self._events.get(each):
                event.set()


class Model:
    """One bundle, being served. To be made in the event loop."""

    def __init__(self, name: str, session: Session, limits: Limits, metrics: Metrics) -> None:
        self.name, self.session, self.created = name, session, int(time.time())
        self.metrics, self.post = metrics, Post()
        self.batcher: Batcher | None = None
        if "generate.onnx" in session.manifest["graphs"]:  # else it is a classifier
            step = metrics.steps.labels(name), metrics.stepped.labels(name), metrics.step_seconds.labels(name)

            def stepped(texts: int, seconds: float) -> None:
                for counter, amount in zip(step, (1, texts, seconds), strict=True):
                    counter.inc(amount)

            self.batcher = Batcher(session.stepper(), self.post.progressed, limits.slots, limits.queue, stepped)
        self._direct, self._num_direct = asyncio.Semaphore(DIRECT), 0

    async def direct(self, call: Callable[..., T], *arguments: Any) -> T:
        """Have a method of the session run in a thread. Raises Busy where too many wait; Refused for a UserError."""
        if self._num_direct >= DIRECT + DIRECT_WAITING:
            raise Busy(1)
        self._num_direct += 1
        try:
            async with self._direct:
                return await asyncio.to_thread(call, *arguments)
        except UserError as error:  # it names the folder, which is nothing to a client
            raise Refused(400, str(error).replace(str(self.session.bundle), self.name), "not_of_this_model") from None
        finally:
            self._num_direct -= 1

    @property
    def ready(self) -> bool:
        return self.batcher is None or self.batcher.failure is None

    def retire(self) -> None:
        """Take no more texts; those accepted are written."""
        if self.batcher:
            self.batcher.close()


class Models:
    """By name. The first is the one meant where none is named."""

    def __init__(self, bundles: Mapping[str, Path], limits: Limits, metrics: Metrics, precision: Precision) -> None:
        """Open the bundles. Raises UserError for one that cannot be used."""
        self._limits, self._metrics = limits, metrics
        self._precision: Precision = precision
        self._sessions: dict[str, Session] = {name: self.opened(bundle) for name, bundle in bundles.items()}
        self._models: dict[str, Model] = {}

    def start(self) -> None:
        """In the event loop: begin to serve."""
        for name, session in self._sessions.items():
            self._models[name] = Model(name, session, self._limits, self._metrics)
            self._metrics.running.labels(name).set_function(lambda name=name: self._texts(name, "running"))
            self._metrics.waiting.labels(name).set_function(lambda name=name: self._texts(name, "waiting"))

    def _texts(self, name: str, state: str) -> float:
        batcher = self._models[name].batcher
        return float(getattr(batcher, state)) if batcher else 0.0

    def __iter__(self):
        return iter(self._models.values())

    def get(self, name: str | None) -> Model:
        """Raises Refused for a model that is not there."""
        if name is None:
            return next(iter(self._models.values()))
        if name not in self._models:
            known = ", ".join(self._models)
            raise Refused(404, f"there is no model {name!r}; there are {known}", "model_not_found", "model")
        return self._models[name]

    def replace(self, name: str, session: Session) -> None:
        """Serve another bundle under this name from now on; what the old one has accepted it still answers."""
        old = self._models[name]
        self._models[name] = Model(name, session, self._limits, self._metrics)
        old.retire()

    def retire(self) -> None:
        for model in self:
            model.retire()

    async def ended(self) -> None:
        """When every accepted text is written."""
        for model in self:
            if model.batcher:
                await asyncio.to_thread(model.batcher.join)

    def opened(self, bundle: Path) -> Session:
        """A bundle, its graphs read and warm, so that the first request waits for nothing."""
        session = Session(bundle, precision=self._precision)
        if "generate.onnx" in session.manifest["graphs"]:
            for _ in session.stream("" if session.prompted else None, max_tokens=1):
                pass
        return session
