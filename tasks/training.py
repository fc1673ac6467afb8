"""What the two training stages share: where they compute, and what they show."""

import json
from typing import TYPE_CHECKING, Any

from gdcore.artifacts import Ref
from gdcore.errors import UserError
from gdcore.report import histories
from gdcore.report.event_files import write_events
from gdcore.report.svg import standalone
from gdcore.runs import Run
from tasks import show

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> "torch.device":
    """`cpu`, `cuda`, or for `auto` the GPU where there is one. Raises UserError for a GPU that is not there."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "device is set to cuda, but torch finds no usable GPU here. Leave device at auto, or install a torch built "
            "for this machine's GPU and its driver."
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def show_training(run: Run, stage: str, ref: Ref) -> None:
    """The stage's log goes into the run's and into an event file, its outcome and latest figures into Prefect."""
    folder = run.store.path(ref)
    text = (folder / "metrics.jsonl").read_text().splitlines()
    run.log_metrics(stage, text)
    lines = [json.loads(line) for line in text]
    write_events(run.folder / "tensorboard" / stage, lines, (folder / "metrics.jsonl").stat().st_mtime)
    summary = json.loads((folder / "summary.json").read_text())
    outcome = {name: _told(value) for name, value in summary.items() if not isinstance(value, dict | None)}
    latest = {name: value for line in lines for name, value in line.items() if isinstance(value, int | float)}
    parts = [
        show.pairs(outcome, "outcome", ""),
        show.figures(latest),
        *(show.picture(standalone(chart), stage) for chart in histories.draw(stage, lines)),
    ]
    show.markdown(stage, "\n\n".join(parts), f"How {stage} went")


def _told(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) else value
