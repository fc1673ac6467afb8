"""The classifier on texts that it has not seen: figures with intervals, calibration, what it confuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.progress import Progress
from gdcore.report import wording
from gdcore.runs import Run, Stage
from tasks import show
from tasks.classification import architecture
from tasks.stage import build, stage
from tasks.training import choose_device


@stage("assessment")
def assess(run: Run, config: RunConfig, corpus: Ref, tokens: Ref, validation: Ref, classification: Ref) -> Stage:
    """Classify the test split, beside the most frequent class and a count of words."""
    inputs = {"classification": classification, "corpus": corpus, "tokens": tokens, "validation": validation}

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.classification.assessment import assess as assess_texts

        paths = {name: run.store.path(ref) for name, ref in inputs.items()}
        return assess_texts(**paths, out=out, seed=config.seed, device=choose_device(config.device))

    done = build(
        run,
        "assessment",
        make,
        config=config.model_dump(mode="json", include={"seed"}),
        inputs=inputs,
        sources=["gdcore.classification.assessment", architecture(config)],
    )
    show_assessment(assessment(run.store.path(done.ref)))
    return done


def assessment(folder: Path) -> dict[str, Any]:
    """What an assessment says."""
    return json.loads((folder / "assessment.json").read_text("utf-8"))


def show_assessment(found: dict[str, Any]) -> None:
    """The figures beside the baselines', then where confidence and being right part, then what is confused."""
    scores = found["figures"]
    rows = [
        (label, *(_figure(scores, prefix + name) for prefix in ("", "words_", "majority_"))) for name, label in NAMES
    ]
    head = f"{found['texts']:,} texts, {found['num_classes']:,} classes; intervals of 95 %"
    gain = f"Over counting words: {_figure(scores, 'over_words')}."
    calibrated = found["calibration"]
    bins = [(f"{b['confidence']:.3f}", f"{b['right']['value']:.3f}", b["texts"]) for b in calibrated["fitted"]["bins"]]
    errors = ", ".join(
        f"{name} {each['ece']:.3f} (chance {each['ece_floor']:.3f})" for name, each in calibrated.items()
    )
    pairs = [(each["label"], each["named"], each["texts"], f"{each['share']:.0%}") for each in found["confusions"]]
    wrong = [(each["text"], each["label"], each["named"], f"{each['confidence']:.2f}") for each in found["mistakes"]]
    parts = [
        head,
        show.table(["", found["classifier"]["name"], "word counts", "most frequent class"], rows),
        gain,
        f"### Calibration\n\nExpected calibration error: {errors}; temperature {found['temperature']:.2f}.",
        show.table(["confidence", "right", "texts"], bins),
        "### Most confused",
        show.table(["class", "named", "texts", "of the class"], pairs),
        "### Surest mistakes",
        show.table(["text", "class", "named", "confidence"], wrong),
    ]
    show.markdown("assessment", "\n\n".join(parts), "The classifier on held-out texts")


NAMES = (("accuracy", "accuracy"), ("macro_f1", "macro-F1"))


def _figure(scores: dict[str, Any], name: str) -> str:
    """A value with its interval."""
    return f"{wording.value(scores[name], 3)} {wording.spread(scores[name], 3)}"
