"""Training shared by processes: the same as one process with the same batch, whichever number goes on from whose."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from toy import TINY, write_toy

from gdcore.config import RunConfig
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.training.launch import launched
from gdcore.training.phases import run_finetuning, run_pretraining

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CONFIG = RunConfig.model_validate(
    {
        "seed": 3,
        "context": 16,
        "generator": TINY["lstm"].model_dump() | {"dropout": 0.0},
        "pretrain": {
            "steps": 12,
            "batch_size": 16,
            "learning_rate": 0.02,
            "warmup_steps": 3,
            "eval_every": 4,
            "checkpoint_every": 5,
            "precision": "float32",
        },
        "discriminator": TINY["cnn"].model_dump() | {"dropout": 0.0},
        "finetune": {"steps": 5, "warmup_steps": 3, "batch_size": 16, "precision": "float32", "checkpoint_every": 2},
    }
)
# Those whose texts are drawn by the seeds of rows alone; `distil` and the soft ones draw by each process's own numbers.
OBJECTIVES = {
    "gad": "cnn",
    "textgail": "cnn",
    "maligan": "cnn",
    "spin": "cnn",
    "cot": "cnn",
    "seqgan": "causal_lstm",
    "scratchgan": "causal_lstm",
}


class Phases:
    """Both phases on the toy language, in so many processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tokens, self.validation = write_toy(root)

    def pretraining(self, name: str, processes: int, config: RunConfig = CONFIG) -> Iterator[Progress]:
        folders = self._folders(name)
        if processes > 1:
            return launched("pretraining", _with(config, processes=processes), folders, "cpu")
        shape: dict[str, Any] = {"context": config.context, "seed": config.seed, "device": torch.device("cpu")}
        return run_pretraining(config.generator, config.pretrain, **shape, **folders)

    def finetuning(self, name: str, processes: int, config: RunConfig, pretraining: Path) -> Iterator[Progress]:
        folders = self._folders(name) | {"pretraining": pretraining}
        if processes > 1:
            return launched("finetuning", _with(config, processes=processes), folders, "cpu")
        parts = config.discriminator, config.objective, config.finetune
        return run_finetuning(*parts, seed=config.seed, device=torch.device("cpu"), **folders)

    def _folders(self, name: str) -> dict[str, Any]:
        out, work = self.root / name, self.root / f"{name}-work"
        out.mkdir(exist_ok=True)
        work.mkdir(exist_ok=True)
        return {"tokens": self.tokens, "validation": self.validation, "out": out, "work": work}


def _with(config: RunConfig, **values: Any) -> RunConfig:
    return RunConfig.model_validate(config.model_dump() | values)


@pytest.fixture(scope="module")
def phases(tmp_path_factory: pytest.TempPathFactory) -> Phases:
    phases = Phases(tmp_path_factory.mktemp("processes"))
    for _ in phases.pretraining("one", 1):
        pass
    return phases


def assert_alike(a: Path, b: Path, player: str = "generator", tolerance: float = 2e-4) -> None:
    mine, theirs = (load_file(folder / f"{player}.safetensors") for folder in (a, b))
    assert mine.keys() == theirs.keys()
    for name, tensor in mine.items():
        torch.testing.assert_close(tensor, theirs[name], atol=tolerance, rtol=tolerance, msg=f"{player} {name}")


def figures(folder: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def test_two_pretrain_as_one_does(phases: Phases) -> None:
    told = list(phases.pretraining("two", 2))
    assert list(dict.fromkeys(each.done for each in told)) == list(range(1, 13))
    assert_alike(phases.root / "two", phases.root / "one")
    for name in ("generator_nll", "generator_gradient_norm", "valid_nll"):
        assert figures(phases.root / "two", name) == pytest.approx(figures(phases.root / "one", name), rel=1e-4)


@pytest.mark.parametrize("name", ["lstm", "transformer"])
def test_two_that_hold_a_part_each_pretrain_as_one_does(phases: Phases, name: str) -> None:
    config = _with(CONFIG, generator=TINY[name].model_dump() | {"dropout": 0.0}, sharded=True, processes=2)
    for _ in phases.pretraining(f"{name}-whole", 1, config):
        pass
    for processes, stop_at in ((2, 4), (1, 8), (2, 99)):  # parts, then whole, then parts
        with closing(phases.pretraining(f"{name}-parts", processes, config)) as progresses:  # pyright: ignore
            for progress in progresses:
                if progress.done == stop_at:
                    break
    assert_alike(phases.root / f"{name}-parts", phases.root / f"{name}-whole")
    assert figures(phases.root / f"{name}-parts", "generator_gradient_norm") == pytest.approx(
        figures(phases.root / f"{name}-whole", "generator_gradient_norm"), rel=1e-3
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_play_as_one_does(phases: Phases, objective: str) -> None:
    judge = TINY[OBJECTIVES[objective]].model_dump() | {"dropout": 0.0}
    config = _with(CONFIG, objective={"name": objective}, discriminator=judge)
    for processes in (1, 2):
        for _ in phases.finetuning(f"{objective}-{processes}", processes, config, phases.root / "one"):
            pass
    one, two = (phases.root / f"{objective}-{processes}" for processes in (1, 2))
    for name in ("generator_loss", "generator_reward", "discriminator_loss"):
        assert figures(two, name) == pytest.approx(figures(one, name), rel=2e-3, abs=2e-4), name
    assert_alike(one, two, "generator", 1e-3)


def test_two_then_one_then_two(phases: Phases) -> None:
    """Left at a step, the leading process writes a checkpoint that any number goes on from."""
    for processes, stop_at in ((2, 4), (1, 8), (2, 99)):
        with closing(phases.pretraining("mixed", processes)) as progresses:  # pyright: ignore[reportArgumentType]
            for progress in progresses:
                if progress.done == stop_at:
                    break
        if stop_at < 99:
            assert list((phases.root / "mixed-work").glob("step-*"))
    assert_alike(phases.root / "mixed", phases.root / "one")
    assert figures(phases.root / "mixed", "valid_nll") == pytest.approx(figures(phases.root / "one", "valid_nll"))


def test_a_process_that_dies_takes_the_others_with_it_and_all_go_on(phases: Phases) -> None:
    config = _with(CONFIG, pretrain=CONFIG.pretrain.model_dump() | {"steps": 400, "patience": 400})
    for _ in phases.pretraining("long", 2, config):
        pass
    killed = False
    for progress in phases.pretraining("struck", 2, config):
        if progress.done == 60 and not killed:
            found = processes_of(str(phases.root / "struck-work" / "call.json"))
            os.kill(max(pid for pid, args in found.items() if "distributed" not in args), signal.SIGKILL)
            killed = True
    assert killed
    assert_alike(phases.root / "struck", phases.root / "long", tolerance=0)
    steps = figures(phases.root / "struck", "step")
    assert steps == list(range(1, 401)), "nothing twice, nothing lost"


ALONE = """
import json, sys
from pathlib import Path
from gdcore.config import RunConfig
from gdcore.training.launch import launched

folders = {name: Path(path) for name, path in json.loads(sys.argv[2]).items()}
for progress in launched("pretraining", RunConfig.model_validate_json(sys.argv[1]), folders, "cpu"):
    print(progress.done, flush=True)
"""


def test_processes_whose_starters_are_all_killed_leave_a_checkpoint_and_go(phases: Phases) -> None:
    config = _with(
        CONFIG, processes=2, pretrain=CONFIG.pretrain.model_dump() | {"steps": 5000, "checkpoint_every": 999}
    )
    folders = phases._folders("orphans")  # pyright: ignore[reportPrivateUsage]
    call = str(folders["work"] / "call.json")
    given = [config.model_dump_json(by_alias=True), json.dumps({name: str(path) for name, path in folders.items()})]
    with subprocess.Popen([sys.executable, "-c", ALONE, *given], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        for line in starter.stdout:
            if int(line) == 30:
                break
        (torchrun,) = (pid for pid, args in processes_of(call).items() if "torch.distributed.run" in args)
        starter.kill()
        os.kill(torchrun, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while processes_of(call) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not processes_of(call)
    assert list(folders["work"].glob("step-*")), "what was learnt is kept"


def processes_of(call: str) -> dict[int, str]:
    """Who works on a call: arguments by process id."""
    listed = subprocess.run(["ps", "-wweo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    lines = (line.split(maxsplit=1) for line in listed.splitlines() if call in line)
    return {
        int(pid): args for pid, args in lines if "torch.distributed.run" in args or "gdcore.training.launch" in args
    }


def test_what_cannot_be_is_told_within_seconds(phases: Phases) -> None:
    odd = _with(CONFIG, pretrain=CONFIG.pretrain.model_dump() | {"batch_size": 15})
    with pytest.raises(UserError, match="pretrain.batch_size is 15, which 2 processes cannot share"):
        list(phases.pretraining("odd", 2, odd))
    (phases.root / "broken-work").mkdir()
    folders = dict.fromkeys(("tokens", "validation", "out"), phases.root / "nowhere")
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="nowhere"):
        list(
            launched("pretraining", _with(CONFIG, processes=2), folders | {"work": phases.root / "broken-work"}, "cpu")
        )
    assert time.monotonic() - start < 120


ONLY_ONE = """
import os
if os.environ.get("RANK") == "1":
    import time
    from pathlib import Path
    import gdcore.training.loops as loops
    def lost(*_):
        Path(__file__).with_name("struck").write_text(str(time.time()))
        raise ZeroDivisionError("in this one alone" + 40 * "\\n, and much more")
    loops.update = lost
"""
"""Read by every Python that starts with its folder in PYTHONPATH."""


def test_a_process_that_fails_alone_is_named_and_quoted_within_seconds(
    phases: Phases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ONLY_ONE)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(RuntimeError) as failed:
        list(phases.pretraining("alone", 2))
    passed = time.time() - float((tmp_path / "struck").read_text())
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert passed < 30 * busy, "the other one does not wait for it"
    told = str(failed.value)
    assert re.search(r"rank\s*: 1 ", told), told
    assert "ZeroDivisionError: in this one alone" in told
    assert 'sitecustomize.py", line' in told


def test_the_whole_flow_trains_so_and_one_process_reuses_it(tmp_path: Path, prefect_server: str) -> None:
    from small_run import run

    told = run(tmp_path, processes=2)
    assert {each["state"] for each in told["stages"].values()} == {"built"}
    again = run(tmp_path, processes=1)
    assert {each["state"] for name, each in again["stages"].items() if name != "promotion"} == {"reused"}
