"""How long a run may take: real flows on a real server, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Cancelling, Crashed

from flows.hooks import ending, say_what_was_left_unsaid, timeout_seconds
from gdcore.errors import UserError

FLOW = """
import hashlib, sys, time
from prefect import flow
from flows import hooks
hooks.GRACE_SECONDS = 4.0

@flow(name="slow", **hooks.TELLING)
def slow(home: str, how: str) -> None:
    if how == "asleep":
        time.sleep(300)
    if how == "hung":  # in C, where no exception arrives
        hashlib.pbkdf2_hmac("sha256", b"a", b"b", 2_000_000_000)

slow(*sys.argv[1:])
time.sleep(10)
print("lived on")
"""


def ran(home: Path, how: str, api: str, seconds: float) -> subprocess.CompletedProcess[str]:
    told = {"PREFECT_API_URL": api, "GDFLOW_TIMEOUT_HOURS": str(seconds / 3600)}
    command = [sys.executable, "-c", FLOW, str(home), how]
    return subprocess.run(command, env=os.environ | told, capture_output=True, text=True, timeout=200)


def last() -> tuple[str, str]:
    """The newest run's state, and the cause that is shown with it."""
    with get_client(sync_client=True) as client:
        run = max((run for run in client.read_flow_runs() if run.name), key=lambda run: run.created)  # pyright: ignore
        causes = [str(each.data) for each in client.read_artifacts() if each.flow_run_id == run.id]
        return str(run.state_name), "".join(causes)


def test_a_run_that_takes_too_long_ends_as_timed_out_and_says_why(tmp_path: Path, prefect_server: str) -> None:
    done = ran(tmp_path, "asleep", prefect_server, 3)
    assert "FlowRunTimeoutError" in done.stderr
    state, cause = last()
    assert state == "TimedOut"
    assert "It took longer than it may (GDFLOW_TIMEOUT_HOURS" in cause


def test_a_run_that_no_exception_reaches_ends_all_the_same(tmp_path: Path, prefect_server: str) -> None:
    done = ran(tmp_path, "hung", prefect_server, 3)
    assert done.returncode == 1, done.stderr
    assert "in slow" in (tmp_path / "runs" / ".up" / "hung.log").read_text()


def test_a_run_that_is_done_in_time_leaves_its_process_alone(tmp_path: Path, prefect_server: str) -> None:
    assert ran(tmp_path, "quick", prefect_server, 5).stdout == "lived on\n"


def test_a_cancelled_run_is_told_so_while_it_ends() -> None:
    assert ending(Cancelling()) == ending(Cancelled()) == "It was cancelled"


def test_a_cause_that_nobody_was_left_to_tell_is_told_later_and_once(prefect_server: str) -> None:
    @flow
    def lost() -> None:
        pass

    def causes() -> list[str]:
        with get_client(sync_client=True) as client:
            return [str(each.data) for each in client.read_artifacts() if each.flow_run_id == run.id]

    with get_client(sync_client=True) as client:
        run = client.create_flow_run(lost, tags=["gdflow"], state=Crashed(message="No sign of life for 120 s"))
        other = client.create_flow_run(lost, state=Crashed())
    for _ in range(2):
        say_what_was_left_unsaid()
    (cause,) = causes()
    assert "Its process ended without a word" in cause
    assert "No sign of life" in cause
    with get_client(sync_client=True) as client:
        assert not [each for each in client.read_artifacts() if each.flow_run_id == other.id], "somebody else's"


@pytest.mark.parametrize(("told", "seconds"), [("", None), ("24", 86400.0), (" 0.5 ", 1800.0)])
def test_hours(monkeypatch: pytest.MonkeyPatch, told: str, seconds: float | None) -> None:
    monkeypatch.setenv("GDFLOW_TIMEOUT_HOURS", told)
    assert timeout_seconds() == seconds


@pytest.mark.parametrize("told", ["a day", "0", "-1", "nan", "inf"])
def test_hours_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("GDFLOW_TIMEOUT_HOURS", told)
    with pytest.raises(UserError, match="GDFLOW_TIMEOUT_HOURS is .*; expected a number of hours"):
        timeout_seconds()
