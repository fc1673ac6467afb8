"""The corpus against its rules: texts that break one go to quarantine, a broken critical rule stops the run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.runs import Run, Stage
from tasks import show
from tasks.stage import build, stage


class Rejected(UserError):
    """The corpus broke a critical rule; what was found is published all the same."""


@stage("validation")
def validate(run: Run, config: RunConfig, corpus: Ref, tokens: Ref, batch_size: int) -> Stage:
    """Judge texts, tokens and splits by their suites; raise Rejected when a critical rule is broken.

    `batch_size` is the largest batch that will be learnt from: the train split must fill one.
    """

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from tasks.expectations.judge import validate as judge

        path = run.store.path
        try:
            yield from judge(config.validation, path(corpus), path(tokens), config.context, batch_size, out)
        except UserError:
            if not (out / "verdict.json").exists():
                raise

    done = build(
        run,
        "validation",
        make,
        config=config.model_dump(mode="json", include={"validation", "context"}) | {"batch_size": batch_size},
        inputs={"corpus": corpus, "tokens": tokens},
        sources=["tasks.expectations.judge"],
    )
    run.link("data_docs", run.path("validation") / "data_docs")
    judged = verdict(run.path("validation"))
    show_validation(run, judged)
    if not judged["success"]:
        from tasks.expectations.judge import complaint

        raise Rejected(f"{complaint(judged)}. The whole verdict: {run.folder / 'data_docs' / 'index.html'}")
    return done


def verdict(validation: Path) -> dict[str, Any]:
    """What was judged, suite by suite."""
    return json.loads((validation / "verdict.json").read_text())


def show_validation(run: Run, judged: dict[str, Any]) -> None:
    """Every rule: what was expected, what was observed, how many texts broke it."""
    marks = {True: "✓", False: "✗"}
    columns = ("suite", "rule", "severity", "", "expected", "observed", "texts")
    rows = [
        (
            suite["name"],
            *(rule[key] for key in ("rule", "severity")),
            marks[rule["success"]],
            *(rule["threshold"], _observed(rule["observed"]), rule["unexpected_count"]),
        )
        for suite in judged["suites"]
        for rule in suite["results"]
    ]
    summary = json.loads((run.path("validation") / "summary.json").read_text())
    names = ("read", "used", "quarantined", "compared_in_part")
    counts = show.pairs({name: summary[name] for name in names if name in summary}, "texts", "number")
    heading = "The corpus is fit to train on." if judged["success"] else "**The corpus is not fit to train on.**"
    text = "\n\n".join([heading, counts, show.table(columns, rows)])
    show.markdown("validation", text, "The corpus against its rules")
    show.link("data-docs", run.folder / "data_docs" / "index.html", "Data Docs: every rule, and what broke it")


def _observed(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_observed(each)}" for name, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
