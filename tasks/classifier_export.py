"""The classifier as a bundle that needs no torch."""

import json
from collections.abc import Iterator
from pathlib import Path

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks.stage import build, stage


@stage("classifier")
def export(run: Run, config: RunConfig, tokens: Ref, classification: Ref, assessment: Ref) -> Stage:
    """Write the classifier to ONNX, and check that it computes what torch computes."""
    scores = json.loads((run.store.path(assessment) / "assessment.json").read_text("utf-8"))["figures"]
    about = {"accuracy": scores["accuracy"], "macro_f1": scores["macro_f1"]}

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.export.classifier import export_classifier

        path = run.store.path
        return export_classifier(config.export, path(classification), path(tokens), out, about)

    return build(
        run,
        "classifier",
        make,
        config=config.model_dump(mode="json", include={"export"}) | {"about": about},
        inputs={"tokens": tokens, "classification": classification},
        sources=["gdcore.export.classifier", f"gdcore.discriminators.{config.discriminator.name}"],
    )
