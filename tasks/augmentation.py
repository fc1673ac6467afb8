"""Texts made up for a classifier that has few real ones."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks import show
from tasks.slots import queued
from tasks.stage import build, stage
from tasks.training import choose_device

NUM_TOLD = 20
"""Made-up texts that Prefect's page quotes."""


@stage("augmentation", "training")
def augment(run: Run, config: RunConfig, corpus: Ref, tokens: Ref, validation: Ref) -> Stage:
    """Make up texts of every class, and keep those that are worth learning from."""
    inputs = {"corpus": corpus, "tokens": tokens, "validation": validation}

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.classification.augmentation import run_augmentation

        return run_augmentation(
            config.generator,
            config.pretrain,
            config.discriminator,
            config.classification,
            context=config.context,
            seed=config.seed,
            device=choose_device(config.device),
            **{name: run.store.path(ref) for name, ref in inputs.items()},
            out=out,
            work=work,
        )

    parts = {"classification", "context", "seed"}
    sources = ["gdcore.classification.augmentation"]
    if config.classification.augment.how == "generator":
        parts |= {"generator", "pretrain", "discriminator"}
        sources += [f"gdcore.generators.{config.generator.name}", f"gdcore.discriminators.{config.discriminator.name}"]
    done = build(
        run,
        "augmentation",
        queued(run, make),
        config=config.model_dump(mode="json", include=parts),
        inputs=inputs,
        sources=sources,
    )
    added = pl.read_parquet(run.store.path(done.ref) / "added.parquet")
    rows = [(label, text) for text, label in added.head(NUM_TOLD).iter_rows()]
    show.markdown("augmentation", show.table(["class", "made-up text"], rows), f"{len(added):,} texts were made up")
    return done
