"""What goes with every flow that a deployment starts: how long it may take, and why it ended before its end.

The cause is said where people look: an artifact of the run, in words, without opening a log.
"""

import faulthandler
import logging
import math
import os
import threading
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    LogFilter,
    LogFilterFlowRunId,
    TaskRunFilter,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort, LogSort
from prefect.exceptions import PrefectHTTPStatusError
from prefect.logging.loggers import flow_run_logger

from flows.up import alive
from gdcore.errors import UserError
from tasks import show

log = logging.getLogger(__name__)
CAUSE = "cause"
NUM_LINES = 15
MOST_CAUSES = 100
ENDINGS = {
    StateType.FAILED: "It failed",
    StateType.CRASHED: "Its process ended without a word: killed, out of memory, or the machine went down",
    StateType.CANCELLED: "It was cancelled",
    StateType.CANCELLING: "It was cancelled",
}
TIMED_OUT = "It took longer than it may (GDFLOW_TIMEOUT_HOURS, a job variable of its deployment)"
HOURS = "GDFLOW_TIMEOUT_HOURS"
GRACE_SECONDS = 120.0
"""Between Prefect's timeout and the end of a process that does not heed it."""
_armed: list[threading.Timer] = []
GO_ON = (
    "Start it again with the same settings (in the UI: Retry, or Run with the same parameters): what is complete is "
    "reused, and a stage in training goes on from its last checkpoint."
)
MEND = "Mend what is named here, then start it again: what is complete is reused."


def timeout_seconds() -> float | None:
    """How long a run may take; None, for ever, where GDFLOW_TIMEOUT_HOURS is not set. Raises UserError."""
    told = os.environ.get(HOURS, "").strip()
    if not told:
        return None
    try:
        hours = float(told)
    except ValueError:
        hours = 0.0
    if not 0 < hours < math.inf:
        raise UserError(f"{HOURS} is {told!r}; expected a number of hours above nought, or nothing for no limit.")
    return hours * 3600


def end_if_hung(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """A flow's `on_running`: the end of its process, should a step never end.

    Prefect's timeout is an exception, which a call into a library in C or a dead network file system never sees. This
    is a thread that needs no interpreter; what the others were doing goes to `runs/.up/hung.log`.
    """
    if not flow.timeout_seconds:
        return
    from flows.up import logs

    path = logs(Path(flow_run.parameters.get("home", ".")).absolute()) / "hung.log"
    seconds = flow.timeout_seconds + GRACE_SECONDS
    # Opened for good: the thread writes to the file's number.
    faulthandler.dump_traceback_later(seconds, exit=True, file=os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    words = "it does not stop after its timeout, so its process is ended; what it was doing stands in %s"
    told = threading.Timer(seconds - GRACE_SECONDS / 4, flow_run_logger(flow_run, flow).error, (words, path))
    told.daemon = True
    told.start()
    _armed.append(told)


def disarm(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """A flow's end, in time: its process may live on."""
    faulthandler.cancel_dump_traceback_later()
    while _armed:
        _armed.pop().cancel()


def say_why(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """A flow's `on_failure`, `on_crashed` and `on_cancellation`. A server that does not answer is only logged."""
    try:
        with get_client(sync_client=True) as client:
            if alive(str(client.api_url).rstrip("/")):  # else the client would ask again and again for a minute
                _show_cause(client, flow_run, state)
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        log.warning("the cause could not be shown in Prefect: %s", error)


def say_what_was_left_unsaid() -> None:
    """Show the cause of every run that crashed when nobody was left to do it: its worker had gone with it."""
    crashed = FlowRunFilter(
        tags=FlowRunFilterTags(all_=["gdflow"]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
    )
    causes = ArtifactFilter(key=ArtifactFilterKey(any_=[CAUSE]))
    newest = FlowRunSort.EXPECTED_START_TIME_DESC
    with get_client(sync_client=True) as client:
        flow_runs = client.read_flow_runs(flow_run_filter=crashed, sort=newest, limit=MOST_CAUSES)
        these = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id for flow_run in flow_runs]))
        told = {each.flow_run_id for each in client.read_artifacts(artifact_filter=causes, flow_run_filter=these)}
        for flow_run in flow_runs:
            if flow_run.id not in told and flow_run.state:
                _show_cause(client, flow_run, flow_run.state)


def _show_cause(client: SyncPrefectClient, flow_run: FlowRun, state: State[Any]) -> None:
    name = client.read_flow_run(flow_run.id).name  # it is renamed once it runs
    words = f"{name}: {ending(state)}"
    text = cause(client, flow_run, state)
    client.create_artifact(
        ArtifactCreate(key=CAUSE, type="markdown", description=words, data=text, flow_run_id=flow_run.id)
    )


def ending(state: State[Any]) -> str:
    """How it ended, in words."""
    return TIMED_OUT if state.name == "TimedOut" else ENDINGS.get(state.type, state.name or "It ended")


def cause(client: SyncPrefectClient, flow_run: FlowRun, state: State[Any]) -> str:
    """What happened, in which stage, the last lines of the log, and how to go on."""
    this = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
    tasks = client.read_task_runs(flow_run_filter=this, task_run_filter=TaskRunFilter())
    unfinished = [task.name for task in tasks if task.state_type not in (StateType.COMPLETED, None)]
    lines = client.read_logs(
        LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id])), limit=NUM_LINES, sort=LogSort.TIMESTAMP_DESC
    )
    where = f" in the stage {' and '.join(sorted(set(unfinished)))}" if unfinished else ""
    parts = [f"**{ending(state)}{where}.**"]
    if state.message:
        parts.append(show.plain(state.message))
    parts.append(MEND if f"{UserError.__name__}: " in (state.message or "") else GO_ON)
    if lines:
        told = [f"{line.timestamp.astimezone(UTC):%H:%M:%S} {line.message.splitlines()[0]}" for line in reversed(lines)]
        parts += ["### The last lines of its log", show.quoted(told)]
    return "\n\n".join(parts)


TELLING: dict[str, Any] = {
    "timeout_seconds": timeout_seconds(),
    "on_running": [end_if_hung],
    "on_completion": [disarm],
    "on_failure": [disarm, say_why],
    "on_crashed": [disarm, say_why],
    "on_cancellation": [disarm, say_why],
}
"""Arguments of `@flow` for every flow that a deployment starts."""
