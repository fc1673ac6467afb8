"""A sweep end to end: real trials in processes of their own, stopped, gone on with, and tabled."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import SETTINGS, write_texts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PLAN: dict[str, Any] = {
    "about": "Two systems, two seeds.",
    "preset": "tiny",
    "seeds": [0, 1],
    "settings": SETTINGS | {"evaluation.protocol": "gdflow"},
    "systems": {"mle": {"finetune.steps": 0}, "gad, cold": {}},
}


def start(home: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.cli", "sweep", str(home / "plan.yaml"), "--workers", "2", "--json", *more]
    command += ["--corpus", str(home / "texts.txt"), "--home", str(home), "--out", str(home / "table.md")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **pipes)  # pyright: ignore


def children(process: subprocess.Popen[str]) -> list[str]:
    """Command lines of the trials under a sweep."""
    found = subprocess.run(["ps", "-o", "args=", "--ppid", str(process.pid)], capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if "flows.cli run" in line]


def test_stopped_gone_on_with_and_tabled(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts.txt")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    process = start(tmp_path)
    while not list(tmp_path.glob("artifacts/tokens/*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    assert 1 <= len(children(process)) <= 2, "so many at a time and no more"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert not children(process)
    assert not (tmp_path / "table.md").exists()

    process = start(tmp_path)
    out, said = process.communicate(timeout=800)
    assert process.returncode == 0, said
    result = json.loads(out)
    assert result["failures"] == []
    assert [row["system"] for row in result["rows"]] == ["real text", "mle", "gad, cold"]
    assert all(row["seeds"] == [0, 1] for row in result["rows"][1:])
    table = (tmp_path / "table.md").read_text()
    assert "| [gad, cold](table/gad-cold.svg) | T=1 |" in table
    assert (tmp_path / "table" / "gad-cold.svg").read_text().startswith("<svg")
    held = {path.parent.parent.name for path in tmp_path.glob("artifacts/*/*/manifest.json")}
    assert "promotion" not in held, "trials are no candidates"
    assert len(list(tmp_path.glob("artifacts/pretraining/*"))) == 2, "shared by the systems of a seed"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers, as somebody would start them on two machines."""
    told = tmp_path / "scheduler.json"
    with (tmp_path / "cluster.log").open("wb") as log, contextlib.ExitStack() as stack:

        def begun(*command: str) -> subprocess.Popen[bytes]:
            whole = [sys.executable, "-m", "dask", *command, "--scheduler-file", str(told)]
            process = stack.enter_context(subprocess.Popen(whole, stdout=log, stderr=log, cwd=tmp_path))
            stack.callback(process.terminate)
            return process

        scheduler = begun("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not told.exists():
            assert scheduler.poll() is None, (tmp_path / "cluster.log").read_text()
            time.sleep(0.1)
        workers = [begun("worker", "--no-nanny", "--nthreads", "1", "--no-dashboard") for _ in range(2)]
        yield json.loads(told.read_text())["address"], workers


def test_on_a_cluster_whose_worker_is_killed(
    tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    write_texts(tmp_path / "texts.txt")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    process = start(tmp_path, "--cluster", address)
    while len(list(tmp_path.glob("artifacts/tokens/*"))) < 1 or not list(tmp_path.glob("artifacts/.work/pre*/*")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    workers[0].kill()
    out, said = process.communicate(timeout=800)
    assert process.returncode == 0, said
    result = json.loads(out)
    assert result["failures"] == []
    assert all(row["seeds"] == [0, 1] for row in result["rows"][1:])
    assert workers[0].wait() == -signal.SIGKILL
    assert len(list(tmp_path.glob("artifacts/pretraining/*"))) == 2


def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts.txt")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    process = start(tmp_path, "--cluster", "tcp://127.0.0.1:1")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in said
    assert "Traceback" not in said
