"""How long a run may take: real flows on a real server, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from flows.hooks import timeout_seconds
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


def last(flow: str) -> tuple[str, str]:
    """The newest run's state, and the cause that is shown with it."""
    with get_client(sync_client=True) as client:
        run = max((run for run in client.read_flow_runs() if run.name), key=lambda run: run.created)  # pyright: ignore
        causes = [str(each.data) for each in client.read_artifacts() if each.flow_run_id == run.id]
        return str(run.state_name), "".join(causes)


def test_a_run_that_takes_too_long_ends_as_timed_out_and_says_why(tmp_path: Path, prefect_server: str) -> None:
    done = ran(tmp_path, "asleep", prefect_server, 3)
    assert "FlowRunTimeoutError" in done.stderr
    state, cause = last("slow")
    assert state == "TimedOut"
    assert "It took longer than it may (GDFLOW_TIMEOUT_HOURS" in cause


def test_a_run_that_no_exception_reaches_ends_all_the_same(tmp_path: Path, prefect_server: str) -> None:
    done = ran(tmp_path, "hung", prefect_server, 3)
    assert done.returncode == 1, done.stderr
    assert "in slow" in (tmp_path / "runs" / ".up" / "hung.log").read_text()


def test_a_run_that_is_done_in_time_leaves_its_process_alone(tmp_path: Path, prefect_server: str) -> None:
    assert ran(tmp_path, "quick", prefect_server, 5).stdout == "lived on\n"


@pytest.mark.parametrize(("told", "seconds"), [("", None), ("24", 86400.0), (" 0.5 ", 1800.0)])
def test_hours(monkeypatch: pytest.MonkeyPatch, told: str, seconds: float | None) -> None:
    monkeypatch.setenv("GDFLOW_TIMEOUT_HOURS", told)
    assert timeout_seconds() == seconds


@pytest.mark.parametrize("told", ["a day", "0", "-1", "nan", "inf"])
def test_hours_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("GDFLOW_TIMEOUT_HOURS", told)
    with pytest.raises(UserError, match="GDFLOW_TIMEOUT_HOURS is .*; expected a number of hours"):
        timeout_seconds()
