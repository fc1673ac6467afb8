"""The generator plays against a discriminator; if it collapses, the best weights are taken back."""

from collections.abc import Iterator
from pathlib import Path

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks.slots import queued
from tasks.stage import build, stage
from tasks.training import choose_device, show_training


@stage("finetuning", "training")
def finetune(run: Run, config: RunConfig, tokens: Ref, validation: Ref, pretraining: Ref) -> Stage:
    """Generate; let the discriminator learn to tell and the generator learn from its verdict; guarded from collapse."""

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.training.phases import run_finetuning

        device, inputs = choose_device(config.device), {"tokens": tokens, "validation": validation}
        folders = {name: run.store.path(ref) for name, ref in (inputs | {"pretraining": pretraining}).items()}
        folders |= {"out": out, "work": work}
        if config.processes > 1:
            from gdcore.training.launch import launched

            return launched("finetuning", config, folders, device.type)
        parts = config.discriminator, config.objective, config.finetune
        return run_finetuning(*parts, seed=config.seed, device=device, **folders)

    plugins = {"discriminators": config.discriminator, "objectives": config.objective, "generators": config.generator}
    done = build(
        run,
        "finetuning",
        queued(run, make),
        config=config.model_dump(mode="json", include={"discriminator", "objective", "finetune", "seed"}),
        inputs={"tokens": tokens, "validation": validation, "pretraining": pretraining},
        sources=["gdcore.training.phases", *(f"gdcore.{kind}.{part.name}" for kind, part in plugins.items())],
    )
    show_training(run, "finetuning", done.ref)
    return done
