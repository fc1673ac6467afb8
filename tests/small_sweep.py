"""A sweep in a process of its own, as the command line starts it, and what it leaves behind."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from small_run import SETTINGS, write_texts

PLAN: dict[str, Any] = {
    "about": "Two systems, two seeds.",
    "preset": "tiny",
    "seeds": [0, 1],
    "settings": SETTINGS | {"evaluation.protocol": "gdflow"},
    "systems": {"mle": {"finetune.steps": 0}, "gad, cold": {}},
}


def begin(home: Path, *more: str, plan: dict[str, Any] = PLAN) -> subprocess.Popen[str]:
    """Two trials at a time, on texts named from the home; the table is to go to `table.md`."""
    if not (home / "texts.txt").exists():
        write_texts(home / "texts.txt")
    (home / "plan.yaml").write_text(yaml.safe_dump(plan))
    command = [sys.executable, "-m", "flows.cli", "sweep", str(home / "plan.yaml"), "--workers", "2", "--json", *more]
    command += ["--corpus", "texts.txt", "--home", str(home), "--out", str(home / "table.md")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": home}
    return subprocess.Popen(command, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, **pipes)  # pyright: ignore


def finished(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """What it returned, and what it said meanwhile."""
    out, said = process.communicate(timeout=1500)
    assert process.returncode == 0, said
    return json.loads(out), said


def awaited(home: Path, pattern: str, process: subprocess.Popen[str]) -> Path:
    """The first in the store that has such a name, as soon as it is there."""
    while not (found := sorted(home.glob(f"artifacts/{pattern}"))):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    return found[0]


def trials(process: subprocess.Popen[str]) -> dict[int, str]:
    """The command lines, by process id, of the trials that are a sweep's own children."""
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    lines = [line.strip().partition(" ") for line in found.stdout.splitlines() if "flows.cli run" in line]
    return {int(number): command for number, _, command in lines}


def runs_begun(home: Path) -> int:
    """How many trials there were, those included that did not come to their end."""
    return len(list(home.glob("runs/*_tiny_*")))
