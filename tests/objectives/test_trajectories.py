"""Golden trajectories: the first losses of every plug-in on the toy language, from one seed.

They change only when the algorithm does. To record them anew: `python tests/objectives/test_trajectories.py`.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

GOLDEN = Path(__file__).parents[1] / "golden" / "trajectories.json"
sys.path.insert(0, str(GOLDEN.parents[1]))

from toy import build_discriminator, build_generator, players, write_toy  # noqa: E402

from gdcore import plugins  # noqa: E402
from gdcore.batches import BatchStream  # noqa: E402
from gdcore.objectives import gad  # noqa: E402
from gdcore.training.checkpoint import TrainState  # noqa: E402
from gdcore.training.loops import FinetuneConfig, PretrainConfig, finetune, pretrain  # noqa: E402
from gdcore.training.phases import adamw, open_split  # noqa: E402

CONFIG = FinetuneConfig(steps=4, warmup_steps=0, batch_size=16, precision="float32")
PRETRAIN = PretrainConfig(steps=4, warmup_steps=1, batch_size=16, precision="float32")


def stream(root: Path, name: str, bucket_batches: int) -> BatchStream:
    return BatchStream(open_split(*write_toy(root / name), "train"), 16, 0, bucket_batches=bucket_batches)


def of_objective(name: str, root: Path) -> list[dict[str, float]]:
    """What four turns of the loop report."""
    return play(*players(name), stream(root, name, 1))


def of_discriminator(name: str, root: Path) -> list[dict[str, float]]:
    """The same, of one that learns from pairs."""
    generator, discriminator = build_generator("lstm"), build_discriminator(name)
    objective = gad.Objective(gad.Config(), generator, discriminator)
    return play(generator, discriminator, objective, stream(root, name, 1))


def of_generator(name: str, root: Path) -> list[dict[str, float]]:
    """What four steps of maximum likelihood report."""
    generator = build_generator(name)
    state = TrainState(generator, {"generator": adamw(generator, 1e-2, 0.0)}, stream(root, name, 50))
    return list(pretrain(state, PRETRAIN))


def play(generator: Any, discriminator: Any, objective: Any, batches: BatchStream) -> list[dict[str, float]]:
    optimizers = {
        "generator": adamw(generator, 1e-2, 0.0),
        "discriminator": adamw(torch.nn.ModuleList([discriminator, objective]), 1e-2, 0.0),
    }
    return list(finetune(TrainState(generator, optimizers, batches, discriminator, objective), objective, CONFIG))


TRAJECTORIES = {"objectives": of_objective, "discriminators": of_discriminator, "generators": of_generator}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in TRAJECTORIES for name in plugins.names(kind)])
def test_losses_are_those_recorded(kind, name, tmp_path):
    golden = json.loads(GOLDEN.read_text())[kind][name]
    for seen, recorded in zip(TRAJECTORIES[kind](name, tmp_path), golden, strict=True):
        assert seen == pytest.approx(recorded, rel=2e-3, abs=2e-4)


def recorded() -> dict[str, dict[str, list[dict[str, float]]]]:
    with tempfile.TemporaryDirectory() as folder:
        return {
            kind: {name: run(name, Path(folder) / kind) for name in plugins.names(kind)}
            for kind, run in TRAJECTORIES.items()
        }


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(recorded(), indent=1) + "\n")
