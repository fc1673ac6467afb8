"""Whoever starts processes is killed by SIGKILL, which nobody can answer: none of them is left some seconds later."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from small_run import SETTINGS, assignments, write_texts
from small_stack import client_of, eventually, started

from flows.up import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENDLESS = {"pretrain.steps": 100_000, "pretrain.patience": 100_000, "pretrain.checkpoint_every": 100_000}
SECONDS = 30
"""Until the last has ended; the step at hand and a checkpoint included, on a busy machine."""


class Family:
    """A command and whatever comes of it, known by a mark in its environment."""

    def __init__(self, folder: Path) -> None:
        self.mark = f"GDFLOW_FAMILY={uuid4()}"
        self.folder = folder

    def begin(self, *command: str, **environment: str) -> None:
        name, _, value = self.mark.partition("=")
        told = os.environ | {"PREFECT_HOME": str(self.folder / "prefect"), "OMP_NUM_THREADS": "1", name: value}
        with (self.folder / "said").open("wb") as said:
            whole = [sys.executable, "-m", "flows.cli", *command, "--home", str(self.folder), "--json"]
            self.first = subprocess.Popen(whole, env=told | environment, cwd=self.folder, stdout=said, stderr=said)

    def living(self) -> dict[int, str]:
        """Command lines by process id."""
        found: dict[int, str] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                    found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # it has ended meanwhile
                continue
        return found

    def count(self, words: str) -> int:
        return sum(words in command for command in self.living().values())

    def until(self, ready: Callable[[], Any]) -> None:
        def looked() -> Any:
            assert self.first.poll() is None, (self.folder / "said").read_text()
            return ready()

        eventually(looked, 600)

    def orphans(self) -> dict[int, str]:
        """Those that are still there so many seconds after the first was killed."""
        self.first.kill()
        self.first.wait()
        killed = time.monotonic()
        while (left := self.living()) and time.monotonic() - killed < SECONDS:
            time.sleep(0.1)
        print(f"\n{time.monotonic() - killed:.1f} s until the last of them had ended", *left.values())
        return left


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    for process in family.living():
        os.kill(process, signal.SIGKILL)
    family.first.wait()


def training(home: Path) -> bool:
    return any(path.stat().st_size for path in home.glob("artifacts/.work/pretraining-*/metrics.jsonl"))


def test_of_a_sweep(family: Family, tmp_path: Path) -> None:
    write_texts(tmp_path / "texts.txt")
    plan = {"about": "Two at once.", "preset": "tiny", "seeds": [0, 1], "settings": SETTINGS | ENDLESS}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan | {"systems": {"gad": {}}}))
    family.begin("sweep", "plan.yaml", "--workers", "2", "--corpus", "texts.txt")
    family.until(lambda: training(tmp_path))
    assert family.count("flows.cli run") == 2
    assert family.orphans() == {}


def test_of_a_run_by_two_processes(family: Family, tmp_path: Path) -> None:
    write_texts(tmp_path / "texts.txt")
    family.begin("run", "--preset", "tiny", "--corpus", "texts.txt", *assignments(**ENDLESS, processes=2))
    family.until(lambda: training(tmp_path))
    assert family.count("gdcore.training.launch") == 3, "torchrun and its two"
    assert family.orphans() == {}


def test_of_up_with_a_run_at_work(family: Family, tmp_path: Path) -> None:
    write_texts(tmp_path / "texts.txt")
    api = f"http://127.0.0.1:{free_port()}/api"
    family.begin("up", PREFECT_API_URL=api, PREFECT_WORKER_QUERY_SECONDS="2")
    family.until(lambda: b"already_running" in (tmp_path / "said").read_bytes())
    with client_of(api) as client:
        asked = {"preset": "tiny", "corpus": {"paths": [str(tmp_path / "texts.txt")]}, "settings": SETTINGS | ENDLESS}
        started(client, "train/on-demand", asked)
    family.until(lambda: training(tmp_path))
    assert family.count("prefect") >= 3, "server, worker, run"
    assert family.orphans() == {}
