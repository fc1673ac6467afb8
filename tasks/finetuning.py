"""The generator plays against a discriminator; if it collapses, the best weights are taken back."""

from collections.abc import Iterator
from pathlib import Path

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks.stage import build, stage
from tasks.training import choose_device, show_training


@stage("finetuning", "training")
def finetune(run: Run, config: RunConfig, tokens: Ref, validation: Ref, pretraining: Ref) -> Stage:
    """Generate; let the discriminator learn to tell and the generator learn from its verdict; guarded from collapse."""

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.training.phases import run_finetuning

        return run_finetuning(
            config.discriminator,
            config.objective,
            config.finetune,
            seed=config.seed,
            device=choose_device(config.device),
            tokens=run.store.path(tokens),
            validation=run.store.path(validation),
            pretraining=run.store.path(pretraining),
            out=out,
            work=work,
        )

    plugins = {"discriminators": config.discriminator, "objectives": config.objective, "generators": config.generator}
    done = build(
        run,
        "finetuning",
        make,
        config=config.model_dump(mode="json", include={"discriminator", "objective", "finetune", "seed"}),
        inputs={"tokens": tokens, "validation": validation, "pretraining": pretraining},
        sources=["gdcore.training.phases", *(f"gdcore.{kind}.{part.name}" for kind, part in plugins.items())],
    )
    show_training(run, "finetuning", done.ref)
    return done
