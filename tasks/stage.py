"""One stage as a Prefect task: the store decides whether there is anything to do, Prefect records what happened.

A stage's file says what goes into its recipe and which gdcore iterator makes it; `build` does the rest. Prefect's own
result cache stays off: it would hash the few lines of the task instead of the library they call, and would trust
results that are no longer there.
"""

import functools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed

from gdcore.artifacts import Ref, recipe
from gdcore.durable import room
from gdcore.memory import forget_peak, peak
from gdcore.mirror import Mirror
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from gdcore.settings import Settings
from gdcore.sources import source_digest
from tasks.progress import relay

log = logging.getLogger(__name__)
P = ParamSpec("P")


Body = Callable[Concatenate[Run, P], Stage]
Call = Callable[Concatenate[Run, P], Ref]


def stage(name: str, *tags: str, **options: Any) -> Callable[[Body[P]], Call[P]]:
    """Make a task of a function that returns `build(…)`; calling it gives the artifact's Ref.

    The task ends in the state «Reused» when nothing had to be done. `options` go to `prefect.task`.

    Tag only what somebody may want to limit (`prefect concurrency-limit create training 1`): for each tagged task
    Prefect asks the server for a slot, limit or no limit, and on SQLite that request collides with the recording of
    the task's own events: a run of seven tagged, reused stages took 5 to 18 seconds instead of one.
    """

    def decorate(body: Body[P]) -> Call[P]:
        @task(
            name=name,
            task_run_name=name,
            description=(body.__doc__ or "").strip(),
            tags=set(tags),
            cache_policy=NO_CACHE,
            persist_result=False,
            **options,
        )
        @functools.wraps(body)
        def recorded(run: Run, *args: P.args, **kwargs: P.kwargs) -> Ref | State[Ref]:
            done = body(run, *args, **kwargs)
            log.info("%-12s %s in %.1f s", name, done.state, done.seconds)
            if done.state == "reused":
                return Completed(name="Reused", message=f"{done.ref.name} was in the store", data=done.ref)
            return done.ref

        @functools.wraps(body)
        def call(run: Run, *args: P.args, **kwargs: P.kwargs) -> Ref:
            result = recorded(run, *args, **kwargs)
            return result.result() if isinstance(result, State) else result

        return call

    return decorate


def build(
    run: Run,
    kind: str,
    make: Callable[[Path, Path], Iterator[Progress]],
    *,
    config: Mapping[str, Any],
    inputs: Mapping[str, Any],
    sources: Iterable[str],
) -> Stage:
    """Find the artifact of this recipe or make it, and record in the run which it was.

    `make(out, work)` writes into `out` and keeps its checkpoints in `work`; `config` holds what the stage is told
    (settings are dumped), `inputs` what it reads (artifacts, or what identifies the user's files), `sources` the
    modules it runs.
    """
    start, cpu_start = time.monotonic(), time.process_time()
    told = {
        key: value.model_dump(mode="json") if isinstance(value, Settings) else value for key, value in config.items()
    }
    read = {key: value.content if isinstance(value, Ref) else value for key, value in inputs.items()}
    address = recipe(kind, told, read, source_digest(sources))
    store = run.store
    with store.lock(kind, address):
        if ref := store.find(kind, address) or _fetched(run, kind, address):
            _share(run, ref)
            return run.record(kind, ref, "reused", time.monotonic() - start)
        with store.draft(kind, address) as draft, room(kind, store.root):
            forget_peak()
            relay(kind, make(draft, store.work(kind, address)))
            cost = {
                "seconds": round(time.monotonic() - start, 3),
                "cpu_seconds": round(time.process_time() - cpu_start, 3),
                "peak_memory": peak(),
            }
            about = {"config": told, "inputs": read, **cost}
            ref = store.publish(draft, kind, address, about)
        _share(run, ref)
    return run.record(kind, ref, "built", time.monotonic() - start)


def _fetched(run: Run, kind: str, address: str) -> Ref | None:
    """The artifact of this recipe as another machine has built it, if there is a mirror and it has it."""
    if not run.mirror:
        return None
    try:
        return Mirror(run.mirror).fetch(run.store, kind, address)
    except OSError as error:
        log.warning("%s is built here: %s cannot be read: %s", kind, run.mirror, error)
        return None


def _share(run: Run, ref: Ref) -> None:
    """Copy what was built to the mirror, if there is one; a copy that fails is made by the next run that looks."""
    if not run.mirror:
        return
    try:
        Mirror(run.mirror).share(run.store, ref)
    except OSError as error:
        log.warning("%s was not copied to %s: %s", ref.name, run.mirror, error)


def transient(task: object, task_run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again may help: the disk or network hiccuped; neither the input nor the program is wrong."""
    lasting = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
    return isinstance(state.data, OSError) and not isinstance(state.data, lasting)
