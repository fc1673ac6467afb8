"""A labelled corpus in, a classifier of its labels out: trained, assessed and exported."""

from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from pydantic import Field

from flows.hooks import TELLING
from flows.parameters import Preset, overrides
from flows.presets import resolve
from flows.recording import counts, recording, run_name, stages, tokens
from gdcore.corpora.config import CorpusConfig
from gdcore.runs import Run
from tasks.assessment import assess, assessment
from tasks.augmentation import augment
from tasks.classification import train_classifier
from tasks.classifier_export import export
from tasks.corpus import read_corpus
from tasks.tokens import tokenize
from tasks.validation import validate


@flow(name="classify", flow_run_name=run_name, persist_result=False, **TELLING)
def classify(
    preset: Preset = "classify",
    corpus: CorpusConfig = CorpusConfig(),  # noqa: B008  (frozen)
    seed: Annotated[int, Field(ge=0)] = 0,
    settings: dict[str, Any] = {},  # noqa: B006  (Prefect copies it)
    home: Path = Path(),
) -> dict[str, Any]:
    """From labelled texts to a bundle that labels others; a generator that classifies is measured, and not exported.

    Args:
        preset: Which settings to start from.
        corpus: Your own texts with their label_column; left as it is, documentation labelled by its package.
        seed: Of every random choice.
        settings: Anything else that should differ from the preset, by key: {"discriminator.name": "svm"}.
        home: The folder that holds artifacts/ and runs/, seen from where the worker works.
    """
    config = resolve(preset, overrides(corpus.model_dump(exclude_defaults=True), seed, settings))
    with recording(home, preset, config) as run:
        texts = read_corpus(run, config.corpus)
        ids = tokenize(run, config, texts)
        validation = validate(run, config, texts, ids, config.classification.batch_size)
        augmented = config.classification.augment.how != "none"
        augmentation = augment(run, config, texts, ids, validation) if augmented else None
        classification = train_classifier(run, config, texts, ids, validation, augmentation)
        assessed = assess(run, config, texts, ids, validation, classification)
        if config.classification.by == "discriminator":
            export(run, config, ids, classification, assessed)
        return finish(run)


def finish(run: Run) -> dict[str, Any]:
    """Link what a person looks for into the run folder, and say what came of it."""
    bundle = run.path("classifier") / "bundle" if "classifier" in run.refs else None
    if bundle:
        run.link("bundle", bundle)
    run.link("assessment.json", run.path("assessment") / "assessment.json")
    result = {
        "run": str(run.folder),
        "bundle": str(bundle) if bundle else None,
        "assessment": str(run.folder / "assessment.json"),
        "data_docs": str(run.folder / "data_docs" / "index.html"),
        "stages": stages(run),
        "counts": counts(run),
        "tokens": tokens(run),
        **assessment(run.path("assessment")),
    }
    run.finish(result, latest=False)
    return result
