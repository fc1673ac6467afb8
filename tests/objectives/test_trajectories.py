"""Golden trajectories: the first losses of every objective on the toy language, from one seed.

They change only when the algorithm does. To record them anew: `python tests/objectives/test_trajectories.py`.
"""

import json
import sys
import tempfile
from pathlib import Path

import pytest
import torch

GOLDEN = Path(__file__).parents[1] / "golden" / "trajectories.json"
sys.path.insert(0, str(GOLDEN.parents[1]))

from toy import players, write_toy  # noqa: E402

from gdcore import plugins  # noqa: E402
from gdcore.batches import BatchStream  # noqa: E402
from gdcore.training.checkpoint import TrainState  # noqa: E402
from gdcore.training.loops import FinetuneConfig, finetune  # noqa: E402
from gdcore.training.phases import adamw, open_split  # noqa: E402

CONFIG = FinetuneConfig(steps=4, batch_size=16, precision="float32")


def trajectory(name: str, root: Path) -> list[dict[str, float]]:
    """What four turns of the loop report, by objective."""
    tokens, validation = write_toy(root / name)
    generator, discriminator, objective = players(name)
    optimizers = {
        "generator": adamw(generator, 1e-2, 0.0),
        "discriminator": adamw(torch.nn.ModuleList([discriminator, objective]), 1e-2, 0.0),
    }
    stream = BatchStream(open_split(tokens, validation, "train"), 16, 0, bucket_batches=1)
    state = TrainState(generator, optimizers, stream, discriminator, objective)
    return list(finetune(state, objective, CONFIG))


@pytest.mark.parametrize("name", plugins.names("objectives"))
def test_losses_are_those_recorded(name, tmp_path):
    golden = json.loads(GOLDEN.read_text())[name]
    for seen, recorded in zip(trajectory(name, tmp_path), golden, strict=True):
        assert seen == pytest.approx(recorded, rel=2e-3, abs=2e-4)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        recorded = {name: trajectory(name, Path(folder)) for name in plugins.names("objectives")}
    GOLDEN.write_text(json.dumps(recorded, indent=1) + "\n")
