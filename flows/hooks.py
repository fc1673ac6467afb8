"""Why a run ended before its end, said where people look: an artifact of the run, in words, without opening a log."""

import logging
from datetime import UTC
from typing import Any

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterFlowRunId, TaskRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import LogSort
from prefect.exceptions import PrefectHTTPStatusError

from tasks import show

log = logging.getLogger(__name__)
NUM_LINES = 15
ENDINGS = {
    StateType.FAILED: "It failed",
    StateType.CRASHED: "Its process ended without a word: killed, out of memory, or the machine went down",
    StateType.CANCELLED: "It was cancelled",
}
GO_ON = (
    "Start it again with the same settings (in the UI: Retry, or Run with the same parameters): what is complete is "
    "reused, and a stage in training goes on from its last checkpoint."
)


def say_why(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """A flow's `on_failure`, `on_crashed` and `on_cancellation`. A server that does not answer is only logged."""
    try:
        with get_client(sync_client=True) as client:
            text = cause(client, flow_run, state)
            client.create_artifact(
                ArtifactCreate(
                    key="cause",
                    type="markdown",
                    description=f"{flow_run.name}: {ENDINGS.get(state.type, state.name)}",
                    data=text,
                    flow_run_id=flow_run.id,
                )
            )
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        log.warning("the cause could not be shown in Prefect: %s", error)


def cause(client: SyncPrefectClient, flow_run: FlowRun, state: State[Any]) -> str:
    """What happened, in which stage, the last lines of the log, and how to go on."""
    this = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run.id]))
    tasks = client.read_task_runs(flow_run_filter=this, task_run_filter=TaskRunFilter())
    unfinished = [task.name for task in tasks if task.state_type not in (StateType.COMPLETED, None)]
    lines = client.read_logs(
        LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run.id])), limit=NUM_LINES, sort=LogSort.TIMESTAMP_DESC
    )
    where = f" in the stage {' and '.join(sorted(set(unfinished)))}" if unfinished else ""
    parts = [f"**{ENDINGS.get(state.type, state.name or 'It ended')}{where}.**"]
    if state.message:
        parts.append(show.plain(state.message))
    parts.append(GO_ON)
    if lines:
        told = [f"{line.timestamp.astimezone(UTC):%H:%M:%S} {line.message.splitlines()[0]}" for line in reversed(lines)]
        parts += ["### The last lines of its log", show.quoted(told)]
    return "\n\n".join(parts)


TELLING: dict[str, Any] = {"on_failure": [say_why], "on_crashed": [say_why], "on_cancellation": [say_why]}
"""Arguments of `@flow` for every flow that a deployment starts."""
