"""The generator learns the language by maximum likelihood."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.release.champion import Ancestor
from gdcore.runs import Run, Stage
from tasks.ancestry import record
from tasks.slots import queued
from tasks.stage import build, stage
from tasks.training import choose_device, show_training


@stage("pretraining", "training")
def pretrain(run: Run, config: RunConfig, tokens: Ref, validation: Ref, ancestor: Ancestor | None = None) -> Stage:
    """Maximum likelihood over real tokens, until held-out text stops getting likelier; the best weights are kept."""

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.training.phases import run_pretraining

        record(ancestor, out)
        device, path = choose_device(config.device), run.store.path
        folders: dict[str, Any] = {"tokens": path(tokens), "validation": path(validation), "out": out, "work": work}
        folders["ancestor"] = path(ancestor.weights) if ancestor else None
        if config.processes > 1:
            from gdcore.training.launch import launched

            return launched("pretraining", config, folders, device.type)
        shape = {"context": config.context, "seed": config.seed, "device": device}
        return run_pretraining(config.generator, config.pretrain, **shape, **folders)

    done = build(
        run,
        "pretraining",
        queued(run, make),
        config=config.model_dump(
            mode="json",
            include={"generator", "pretrain", "context", "seed"},
            # A user's folder counts by what is in it, not by where it lies; an ancestor likewise, not by being wanted.
            exclude={"generator": {"start"}, "pretrain": {"warm_start"}},
        ),
        inputs={"tokens": tokens, "validation": validation} | _start(config, ancestor),
        sources=["gdcore.training.phases", f"gdcore.generators.{config.generator.name}"],
    )
    show_training(run, "pretraining", done.ref)
    return done


def _start(config: RunConfig, ancestor: Ancestor | None) -> dict[str, Any]:
    """The weights that training starts from, if any: the champion's, or the user's."""
    if ancestor:
        return {"ancestor": ancestor.weights}
    folder = getattr(config.generator, "start", None)
    if folder is None:
        return {}
    from gdcore.networks.llama import identity

    return {"start": identity(folder)}
