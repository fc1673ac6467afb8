"""Whichever of a sweep's processes is killed by SIGKILL, its table is that of a sweep which nobody disturbed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from small_sweep import PLAN, awaited, begin, finished, runs_begun, trials

from gdcore.artifacts import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

# Two seeds of one system share no training: whoever is killed must go on by itself.
LONG = PLAN | {
    "systems": {"gad": {}},
    "settings": PLAN["settings"]
    | {"pretrain.steps": 3000, "pretrain.checkpoint_every": 50, "pretrain.eval_every": 500, "pretrain.patience": 1000},
}


def figures(result: Mapping[str, Any]) -> Any:
    """The table but for what it cost."""
    kept = ("system", "decoding", "seeds", "metrics")
    return [{name: row[name] for name in kept} for row in result["rows"]], result["failures"]


def contents(home: Path) -> dict[str, str]:
    return {manifest.ref.name: manifest.ref.content for manifest in Store(home / "artifacts").all()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The home of a sweep on threads, and its result."""
    home = tmp_path_factory.mktemp("undisturbed")
    result, _ = finished(begin(home, plan=LONG))
    assert result["failures"] == []
    assert runs_begun(home) == 2
    return home, result


@pytest.fixture
def home(tmp_path: Path, undisturbed: tuple[Path, dict[str, Any]]) -> Path:
    """An empty one, for the same texts."""
    shutil.copy(undisturbed[0] / "texts.txt", tmp_path)
    return tmp_path


def assert_nothing_is_lost(home: Path, result: dict[str, Any], undisturbed: tuple[Path, dict[str, Any]]) -> None:
    assert figures(result) == figures(undisturbed[1])
    assert contents(home) == contents(undisturbed[0])
    assert Store(home / "artifacts").complaints() == {}
    assert not [*home.glob("artifacts/.drafts/*"), *home.glob("artifacts/.work/*")]


def trainer(home: Path, work: Path) -> int:
    """The process that trains in this work folder."""
    return int((home / "artifacts" / ".locks" / work.name).read_text())


def assert_goes_on(work: Path) -> None:
    """Whoever takes a training up never falls behind its newest checkpoint."""
    newest = max(int(path.name.removeprefix("step-")) for path in work.glob("step-*"))
    with contextlib.suppress(FileNotFoundError):  # it is done
        while True:
            assert (work / "metrics.jsonl").read_bytes().count(b"\n") >= newest
            time.sleep(0.02)


def test_a_trial_on_threads(home: Path, undisturbed: tuple[Path, dict[str, Any]]) -> None:
    process = begin(home, plan=LONG)
    work = awaited(home, ".work/pretraining-*/step-*", process).parent
    victim = trainer(home, work)
    assert victim in trials(process)
    os.kill(victim, signal.SIGKILL)
    assert_goes_on(work)
    result, said = finished(process)
    assert "killed by signal 9" in said
    assert runs_begun(home) == 3, "one was begun again, once"
    assert_nothing_is_lost(home, result, undisturbed)


def test_nobody_on_a_cluster_of_its_own(home: Path, undisturbed: tuple[Path, dict[str, Any]]) -> None:
    result, _ = finished(begin(home, "--cluster", "local", plan=LONG))
    assert runs_begun(home) == 2
    assert_nothing_is_lost(home, result, undisturbed)


def test_a_worker_of_a_cluster_of_its_own(home: Path, undisturbed: tuple[Path, dict[str, Any]]) -> None:
    process = begin(home, "--cluster", "local", plan=LONG)
    work = awaited(home, ".work/pretraining-*/step-*", process).parent
    worker = int(Path(f"/proc/{trainer(home, work)}/stat").read_text().rpartition(")")[2].split()[1])
    assert worker != process.pid
    os.kill(worker, signal.SIGKILL)
    assert_goes_on(work)
    result, _ = finished(process)
    assert runs_begun(home) == 3
    assert_nothing_is_lost(home, result, undisturbed)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two workers, as somebody would start them on two machines, in a folder of their own."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    told = tmp_path / "scheduler.json"
    with (tmp_path / "cluster.log").open("wb") as log, contextlib.ExitStack() as stack:

        def begun(*command: str) -> subprocess.Popen[bytes]:
            whole = [sys.executable, "-m", "dask", *command, "--scheduler-file", str(told)]
            process = stack.enter_context(subprocess.Popen(whole, stdout=log, stderr=log, cwd=folder))
            stack.callback(process.terminate)
            return process

        scheduler = begun("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        while not told.exists():
            assert scheduler.poll() is None, (tmp_path / "cluster.log").read_text()
            time.sleep(0.1)
        workers = [begun("worker", "--no-nanny", "--nthreads", "1", "--no-dashboard") for _ in range(2)]
        yield json.loads(told.read_text())["address"], workers


def test_a_worker_of_a_cluster_by_its_address(
    home: Path, undisturbed: tuple[Path, dict[str, Any]], cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    process = begin(home, "--cluster", address, plan=LONG)
    awaited(home, ".work/pretraining-*/step-*", process)
    workers[0].kill()
    result, _ = finished(process)
    assert workers[0].wait() == -signal.SIGKILL
    assert_nothing_is_lost(home, result, undisturbed)


def test_killed_again_and_again_it_has_failed_and_the_others_have_not(tmp_path: Path) -> None:
    """Nor is one begun again that has said itself what is wrong."""
    systems = {"calm": {}, "struck": {"finetune.steps": 3}, "wrong": {"pretrain.batch_size": 100_000}}
    process = begin(tmp_path, plan=PLAN | {"systems": systems, "seeds": [0]})
    seen: dict[int, str] = {}
    while process.poll() is None:
        for number, command in trials(process).items():
            if number not in seen and "finetune.steps=3" in command:
                os.kill(number, signal.SIGKILL)
            seen[number] = command
        time.sleep(0.1)
    out, said = process.communicate()
    assert process.returncode == 2, said
    result = json.loads(out)
    found = {each["system"]: each["failure"] for each in result["failures"]}
    assert found.keys() == {"struck", "wrong"}
    assert "signal 9 (Killed)" in found["struck"]
    assert "pretrain.batch_size" in found["wrong"]
    assert [row["system"] for row in result["rows"]] == ["real text", "maximum likelihood", "calm"]
    kinds = ("finetune.steps=3", "pretrain.batch_size=100000")
    assert Counter(kind for command in seen.values() for kind in kinds if kind in command) == {kinds[0]: 3, kinds[1]: 1}
