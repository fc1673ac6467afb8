"""Training killed before every single change that it makes on disk ends as if nobody had touched it."""

import multiprocessing
import shutil
import signal
from pathlib import Path

import pytest
from chaos_child import kill_at
from toy import write_toy
from toy_training import finetune_into, pretrain_into

PHASES = ("pretraining", "finetuning_gad")
# Children of a process that has only imported: it never computed, and has no threads that a fork would lose.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["gdcore.training.phases", "gdcore.objectives.gad", "gdcore.generators.lstm"])


def train(root: Path, phase: str, fatal: int) -> None:
    """One phase on the toy language; killed before its change number `fatal`, if it makes so many."""
    folders = root / "tokens", root / "validation"
    if fatal:
        kill_at(fatal, root)
    if phase == "pretraining":
        pretrain_into(root, *folders)
    else:
        finetune_into(root, *folders, root / "pretraining", "gad")


def ended(root: Path, phase: str, fatal: int = 0) -> int:
    """How the phase ended in a process of its own."""
    process = PROCESSES.Process(target=train, args=(root, phase, fatal))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("phase", PHASES)
def test_killed_before_any_change(tmp_path: Path, phase: str) -> None:
    write_toy(prepared := tmp_path / "prepared")
    if phase != "pretraining":
        assert ended(prepared, "pretraining") == 0
    calm = Path(shutil.copytree(prepared, tmp_path / "calm"))
    assert ended(calm, phase) == 0
    for fatal in range(1, 1000):
        root = Path(shutil.copytree(prepared, tmp_path / str(fatal)))
        if (status := ended(root, phase, fatal)) == 0:
            break
        assert status == -signal.SIGKILL
        assert ended(root, phase) == 0
        assert contents(root / phase) == contents(calm / phase), f"killed before change {fatal}"
        shutil.rmtree(root)
    assert fatal > 30, "a phase makes more changes than that"
