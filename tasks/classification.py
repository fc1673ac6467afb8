"""A discriminator's architecture learns the labels of a corpus."""

from collections.abc import Iterator
from pathlib import Path

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks.stage import build, stage
from tasks.training import choose_device, show_training


@stage("classification", "training")
def train_classifier(run: Run, config: RunConfig, corpus: Ref, tokens: Ref, validation: Ref) -> Stage:
    """Learn from the labelled texts until held-out texts stop getting told better; the best weights are kept."""
    inputs = {"corpus": corpus, "tokens": tokens, "validation": validation}

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.classification.training import run_classification

        return run_classification(
            config.discriminator,
            config.classification,
            context=config.context,
            seed=config.seed,
            device=choose_device(config.device),
            **{name: run.store.path(ref) for name, ref in inputs.items()},
            out=out,
            work=work,
        )

    done = build(
        run,
        "classification",
        make,
        config=config.model_dump(mode="json", include={"discriminator", "classification", "context", "seed"}),
        inputs=inputs,
        sources=["gdcore.classification.training", f"gdcore.discriminators.{config.discriminator.name}"],
    )
    show_training(run, "classification", done.ref)
    return done
