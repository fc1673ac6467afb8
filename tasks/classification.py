"""A discriminator's architecture learns the labels of a corpus, or a generator learns to write the texts of each."""

from collections.abc import Iterator
from pathlib import Path

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks.slots import queued
from tasks.stage import build, stage
from tasks.training import choose_device, show_training


@stage("classification", "training")
def train_classifier(
    run: Run, config: RunConfig, corpus: Ref, tokens: Ref, validation: Ref, augmentation: Ref | None = None
) -> Stage:
    """Learn from the labelled texts until held-out texts stop getting told better; the best weights are kept."""
    inputs = {"corpus": corpus, "tokens": tokens, "validation": validation}
    inputs |= {"augmentation": augmentation} if augmentation else {}
    by = config.classification.by

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.classification.generative import run_generative
        from gdcore.classification.training import run_classification

        train = run_generative if by == "generator" else run_classification
        return train(
            getattr(config, by),
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
        queued(run, make),
        config=config.model_dump(mode="json", include={by, "classification", "context", "seed"}),
        inputs=inputs,
        sources=[SOURCES[by], architecture(config)],
    )
    show_training(run, "classification", done.ref)
    return done


SOURCES = {"discriminator": "gdcore.classification.training", "generator": "gdcore.classification.generative"}


def architecture(config: RunConfig) -> str:
    """The plug-in that names classes."""
    by = config.classification.by
    return f"gdcore.{by}s.{getattr(config, by).name}"
