"""Runs that are stopped, killed, or started twice: real processes, real signals, one store."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_run import assignments, write_texts

from gdcore import runs
from gdcore.artifacts import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Enough steps for a signal to fall among them.
LONG: dict[str, Any] = {
    "pretrain.steps": 60,
    "pretrain.checkpoint_every": 10,
    "finetune.steps": 30,
    "finetune.checkpoint_every": 5,
}


def start(home: Path, texts: Path, *, hours: str = "", **settings: Any) -> subprocess.Popen[str]:
    options = ["--preset", "tiny", "--corpus", str(texts), "--home", str(home), "--json"]
    command = [sys.executable, "-m", "flows.cli", "run", *options, *assignments(**settings)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GDFLOW_TIMEOUT_HOURS": hours}
    return subprocess.Popen(
        command, text=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_interrupts
    )


def heed_interrupts() -> None:
    """Also where the tests themselves run in a shell's background, which ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return json.loads(out)


def interrupted(process: subprocess.Popen[str], number: signal.Signals, home: Path, pattern: str) -> tuple[int, str]:
    """Send a signal as soon as the store holds something of this name."""
    while not list(home.glob(f"artifacts/{pattern}")):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    return process.returncode, err


def contents(home: Path) -> dict[str, str]:
    """Of every stage but the one that measures time."""
    return {name: line.ref.content for name, line in runs.find(home).refs.items() if name != "promotion"}


def test_a_run_killed_and_stopped_ends_in_the_same_bytes(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts.txt")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    finished(start(whole, texts, **LONG))

    pretraining, finetuning = ".work/pretraining-*/step-*", ".work/finetuning-*/step-*"
    status, _ = interrupted(start(broken, texts, **LONG), signal.SIGKILL, broken, pretraining)
    assert status == -signal.SIGKILL
    assert not list(broken.glob("artifacts/pretraining/*"))
    status, err = interrupted(start(broken, texts, **LONG), signal.SIGINT, broken, finetuning)
    assert status == 130
    assert "the same command resumes" in err
    assert "Traceback" not in err
    assert not (broken / "runs" / "latest").exists()
    status, _ = interrupted(start(broken, texts, **LONG), signal.SIGTERM, broken, ".drafts/evaluation-*")
    assert status == 143

    result = finished(start(broken, texts, **LONG))
    states = {name: line["state"] for name, line in result["stages"].items()}
    assert states == dict.fromkeys(["corpus", "tokens", "validation", "pretraining", "finetuning"], "reused") | {
        "evaluation": "built",
        "export": "built",
        "promotion": "built",
    }
    assert contents(broken) == contents(whole)
    store = Store(broken / "artifacts")
    assert store.complaints() == {}
    assert not list(store.root.glob(".drafts/*")) + list(store.root.glob(".work/*"))


def test_two_runs_at_once_build_each_stage_once(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts.txt")
    results = [finished(each) for each in [start(tmp_path, texts), start(tmp_path, texts)]]
    # Which of them challenges whom depends on who is first.
    for name in results[0]["stages"].keys() - {"promotion"}:
        assert sorted(result["stages"][name]["state"] for result in results) == ["built", "reused"], name
    assert results[0]["bundle"] == results[1]["bundle"]
    assert results[0]["run"] != results[1]["run"]


@pytest.mark.parametrize("processes", [1, 2])
def test_sigterm_during_the_guards_look_leaves_a_checkpoint_within_seconds(tmp_path: Path, processes: int) -> None:
    """Two thousand texts are sampled, and as many held-out ones read, before the first turn: half a minute's work."""
    texts = write_texts(tmp_path / "texts.txt", 4000)
    slow: dict[str, Any] = {
        "generator.embedding_dim": 512,
        "generator.hidden_dim": 1024,
        "pretrain.steps": 1,
        "finetune.warmup_steps": 0,
    }
    slow |= {"corpus.valid_fraction": 0.5, "finetune.guard.num_samples": 2000, "finetune.checkpoint_every": 1000}
    process = start(tmp_path, texts, processes=processes, **slow)
    while not (begun := list(tmp_path.glob("artifacts/.work/finetuning-*/metrics.jsonl"))):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    time.sleep(1)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    while not (checkpoint := list(begun[0].parent.glob("step-*"))):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    written = time.monotonic() - asked
    _, said = process.communicate(timeout=120)
    ended, load = time.monotonic() - asked, os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"\n{processes} processes: a checkpoint after {written:.1f} s, the end after {ended:.1f} s; load {load:.1f}")
    assert process.returncode == 143, said
    assert checkpoint[0].name == "step-00000000", "the look had not ended"
    assert ended < 10 * max(1.0, load)


def test_a_run_that_takes_too_long_is_stopped_and_can_be_gone_on_with(tmp_path: Path) -> None:
    texts = write_texts(tmp_path / "texts.txt")
    long = LONG | {"pretrain.steps": 2_000_000, "pretrain.eval_every": 1_000_000}
    process = start(tmp_path, texts, hours=str(120 / 3600), **long)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 124, err
    assert "longer than GDFLOW_TIMEOUT_HOURS allows" in err
    assert "the same command resumes" in err
    assert "Traceback" not in err
    (work,) = tmp_path.glob("artifacts/.work/pretraining-*")
    assert [*work.glob("step-*")]
    assert Store(tmp_path / "artifacts").complaints() == {}
    result = finished(start(tmp_path, texts, **LONG))
    assert result["stages"]["tokens"]["state"] == "reused"
