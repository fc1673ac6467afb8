"""The wrapper of every stage, round small real functions: built, reused, resumed, failed, stopped."""

import re
import signal
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter

from gdcore import runs
from gdcore.artifacts import Ref
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from gdcore.training.phases import logged
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
    count, rate, note = str(found[-1].description).split(" · ")
    assert (count, note) == ("4 of 4", "counting")
    assert re.fullmatch(r"[\d.,]+ a second", rate)


def test_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 100.0, 102.0, 110.0, 111.0, 112.0])  # made, then once for each line below
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    pace = progress_module._Pace()
    assert pace.words(Progress(500, 5000)) == "500 of 5,000", "a resumed stage has not done them all just now"
    assert pace.words(Progress(501, 5000)) == "501 of 5,000 · 0.5 a second · 2:29:58 left"
    assert pace.words(Progress(700, 5000, "loss 1")) == "700 of 5,000 · 20 a second · 0:03:35 left · loss 1"
    assert pace.words(Progress(1, 10)) == "1 of 10", "something else is counted"
    assert pace.words(Progress(3, 10, "no better")) == "3 of 10 · 2 a second · 0:00:04 left · no better"
    assert pace.at_the_end() == "3 of 10 · 2 a second · no better", "nothing is left to be done"


def test_readings_reach_prefect_while_training_goes_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "ARTIFACT_SECONDS", 0.0)
    seen: list[str] = []

    def shown() -> list[str]:
        with get_client(sync_client=True) as client:
            return [str(each.data) for each in client.read_artifacts() if each.key == "playing-readings"]

    def make(out: Path, work: Path) -> Iterator[Progress]:
        def reports() -> Generator[dict[str, Any], None, None]:
            yield {"step": 1, "generator_loss": 3.0}
            yield {"step": 2, "generator_loss": 2.0, "guard_entropy": 4.5, "guard_coverage": 123.0}
            seen.extend(shown())
            yield {"step": 3, "generator_loss": 1.0}

        yield from logged(reports(), 3, work)

    @stage("playing")
    def playing(run: Run) -> Stage:
        return build(run, "playing", make, config={}, inputs={}, sources=[])

    @flow
    def once(run: Run) -> None:
        playing(run)

    once(run)
    (table,) = seen
    assert "| generator loss | 2 |" in table
    assert "| guard entropy | 4.5 |" in table
    assert "| guard coverage | 123 |" in table
    assert shown() == seen, "nothing was read anew"


def test_trying_again_is_for_what_may_pass() -> None:
    from prefect.states import Failed

    def judged(error: Exception) -> bool:
        return transient(None, None, Failed(data=error))  # pyright: ignore[reportArgumentType]

    assert judged(OSError(5, "Input/output error"))
    assert not judged(FileNotFoundError("x"))
    assert not judged(UserError("wrong column"))
    assert not judged(ZeroDivisionError())
