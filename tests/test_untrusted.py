"""Files that would run code when read, wherever a stranger's file may come in: refused in words, and nothing ran."""

import contextlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from toy import CONTEXT, TINY, write_toy
from typer.testing import CliRunner

from flows.cli import app
from gdcore.artifacts import file_digest
from gdcore.errors import UserError
from gdcore.training.checkpoint import checkpoints
from gdcore.training.loops import PretrainConfig
from gdcore.training.phases import run_pretraining

HARMLESS = "about: a\npreset: tiny\nseeds: [0]\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["sweep", "FILE"], "evil.yaml is not YAML: could not determine a constructor"),
        (["evaluate", "--samples", "s", "--references", "r", "--protocol", "FILE"], "not YAML: could not determine"),
        (["run", "--preset", "FILE"], "no preset named"),
        (["run", "--set", "seed=CODE"], "the value is not YAML (could not determine a constructor"),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else "",
)
def test_of_yaml(command: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = f"!!python/object/apply:os.system ['touch {tmp_path}/ran']"
    (tmp_path / "evil.yaml").write_text(f"{HARMLESS}systems: {code}\nlike: {code}\n")
    for name in "sr":
        (tmp_path / name).write_text("a text\nanother text\n")
    places = {"FILE": "evil.yaml", "CODE": code}
    spelt = [place.replace(word, path) for place in command for word, path in places.items() if word in place]
    done = CliRunner().invoke(app, [*(each for each in command if not any(p in each for p in places)), *spelt])
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert "Traceback" not in done.output
    assert not (tmp_path / "ran").exists()


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("by", ["pickle", "torch"])
def test_of_a_checkpoint(by: str, tmp_path: Path) -> None:
    """One that says of itself that it is whole: whoever could write it could write that too."""
    tokens, validation = write_toy(tmp_path)
    folders = {name: tmp_path / name for name in ("out", "work")}
    for folder in folders.values():
        folder.mkdir()

    def trained() -> Any:
        config = PretrainConfig(steps=4, batch_size=16, checkpoint_every=2, eval_every=4, precision="float32")
        shape: dict[str, Any] = {"context": CONTEXT, "seed": 1, "device": torch.device("cpu")}
        return run_pretraining(TINY["lstm"], config, tokens=tokens, validation=validation, **shape, **folders)

    run = trained()
    while next(run).done < 2:
        pass
    run.close()
    (checkpoint,) = checkpoints(folders["work"])
    evil = Hostile(tmp_path / "ran")
    if by == "torch":
        torch.save({"optimizers": evil, "rng": None}, checkpoint / "optimizers.pt")
    else:
        (checkpoint / "optimizers.pt").write_bytes(pickle.dumps(evil, protocol=2))
    about = json.loads((checkpoint / "state.json").read_text())
    about["files"]["optimizers.pt"] = file_digest(checkpoint / "optimizers.pt")
    (checkpoint / "state.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match=r"optimizers.pt holds more than numbers.*Remove .*step-00000002"):
        list(trained())
    assert not (tmp_path / "ran").exists()
    with contextlib.suppress(Exception):
        torch.load(checkpoint / "optimizers.pt", weights_only=False)
    assert (tmp_path / "ran").exists(), "it would have"
