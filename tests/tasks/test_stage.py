"""The wrapper of every stage, round small real functions: built, reused, resumed, failed, stopped."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter

from gdcore import runs
from gdcore.artifacts import Ref
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks import progress as progress_module
from tasks.stage import build, stage, transient

pytestmark = pytest.mark.usefixtures("prefect_server")


def count(out: Path, work: Path, to: int, stop_at: int | None = None) -> Iterator[Progress]:
    """Counts in its work directory, one step a yield; goes on where it stopped."""
    seen = work / "seen"
    for n in range(int(seen.read_text()) if seen.exists() else 0, to):
        if n == stop_at:
            raise RuntimeError("power cut")
        seen.write_text(str(n + 1))
        with (work / "steps").open("a") as steps:
            steps.write(f"{n} ")
        yield Progress(n + 1, to, "counting")
    (out / "count.txt").write_text((work / "steps").read_text())


@stage("counting")
def counting(run: Run, to: int, stop_at: int | None = None) -> Stage:
    """Count."""
    return build(
        run,
        "counting",
        lambda out, work: count(out, work, to, stop_at),
        config={"to": to},
        inputs={},
        sources=["gdcore.progress"],
    )


@stage("doubling")
def doubling(run: Run, counted: Ref) -> Stage:
    def make(out: Path, work: Path) -> Iterator[Progress]:
        (out / "twice.txt").write_text(2 * (run.store.path(counted) / "count.txt").read_text())
        yield Progress(1, 1)

    return build(run, "doubling", make, config={}, inputs={"counted": counted}, sources=[])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runs.start(tmp_path, "test", {})


def again(run: Run) -> Run:
    return runs.start(run.home, "test", {})


def states(flow_run_id: object) -> list[tuple[str, str | None]]:
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id={"any_": [flow_run_id]}),  # pyright: ignore[reportArgumentType]
            task_run_filter=TaskRunFilter(),
        )
    return sorted((each.name, each.state_name) for each in found)


def test_built_then_reused_and_prefect_shows_which(run: Run) -> None:
    @flow
    def both(run: Run) -> object:
        from prefect.runtime import flow_run

        doubling(run, counting(run, 3))
        return flow_run.id

    first = both(run)
    assert {name: line.state for name, line in run.refs.items()} == {"counting": "built", "doubling": "built"}
    assert (run.path("doubling") / "twice.txt").read_text() == "0 1 2 0 1 2 "
    second = both(again(run))
    other = runs.every(run.home)[0]
    assert {name: line.state for name, line in other.refs.items()} == {"counting": "reused", "doubling": "reused"}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and len(states(second)) < 2:
        time.sleep(0.2)
    assert states(first) == [("counting", "Completed"), ("doubling", "Completed")]
    assert states(second) == [("counting", "Reused"), ("doubling", "Reused")]


def test_only_what_depends_on_the_change_is_built_again(run: Run) -> None:
    @flow
    def both(run: Run, to: int) -> None:
        doubling(run, counting(run, to))

    both(run, 3)
    (damaged := run.path("counting") / "count.txt").write_text("?")
    rebuilt = again(run)
    both(rebuilt, 3)
    assert {name: line.state for name, line in rebuilt.refs.items()} == {"counting": "built", "doubling": "reused"}
    assert damaged.read_text() == "0 1 2 "
    changed = again(run)
    both(changed, 4)
    assert {name: line.state for name, line in changed.refs.items()} == {"counting": "built", "doubling": "built"}


def test_a_stage_that_dies_goes_on_from_its_checkpoint(run: Run) -> None:
    @flow
    def once(run: Run, stop_at: int | None) -> None:
        counting(run, 5, stop_at)

    with pytest.raises(RuntimeError, match="power cut"):
        once(run, 2)
    assert run.refs == {}
    assert list(run.store.root.glob(".drafts/*")) == []
    once(run, None)
    assert (run.path("counting") / "count.txt").read_text() == "0 1 2 3 4 ", "no step twice, none left out"


def test_a_signal_waits_for_the_end_of_the_step(run: Run) -> None:
    """The step during which Ctrl-C is pressed is finished, and the iterator closed, before the run stops."""
    log: list[str] = []

    def make(out: Path, work: Path) -> Iterator[Progress]:
        try:
            for n in range(3):
                signal.raise_signal(signal.SIGINT)
                log.append(f"step {n}")
                yield Progress(n, 3)
        finally:
            log.append("checkpoint")

    @stage("stopping")
    def stopping(run: Run) -> Stage:
        return build(run, "stopping", make, config={}, inputs={}, sources=[])

    @flow
    def once(run: Run) -> None:
        stopping(run)

    # A shell that starts the tests in the background has them ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            once(run)
        assert log == ["step 0", "checkpoint"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_progress_reaches_prefect(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "ARTIFACT_SECONDS", 0.0)

    @flow
    def once(run: Run) -> None:
        counting(run, 4)

    once(run)
    with get_client(sync_client=True) as client:
        found = [each for each in client.read_artifacts() if each.key == "counting-progress"]
    assert found[-1].data == 100.0
    assert found[-1].description == "4 of 4 · counting"


def test_trying_again_is_for_what_may_pass() -> None:
    from prefect.states import Failed

    def judged(error: Exception) -> bool:
        return transient(None, None, Failed(data=error))  # pyright: ignore[reportArgumentType]

    assert judged(OSError(5, "Input/output error"))
    assert not judged(FileNotFoundError("x"))
    assert not judged(UserError("wrong column"))
    assert not judged(ZeroDivisionError())
