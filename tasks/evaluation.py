"""Both models and real text under one protocol; then which of the two goes on."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from prefect import task
from prefect.cache_policies import NO_CACHE

from gdcore.artifacts import Ref
from gdcore.config import RunConfig
from gdcore.environment import environment
from gdcore.evaluation.protocol import load as load_protocol
from gdcore.progress import Progress
from gdcore.report import frontier, reliability, wording
from gdcore.report.page import write_report
from gdcore.report.svg import standalone
from gdcore.runs import Run, Stage
from tasks import show
from tasks.stage import build, stage
from tasks.training import choose_device

MODELS = ("pretrained", "finetuned", "real")
NUM_TOLD = 12
"""Samples of each model that a command's result and Prefect's page quote; the report has more."""


@stage("evaluation")
def evaluate(
    run: Run, config: RunConfig, corpus: Ref, tokens: Ref, validation: Ref, pretraining: Ref, finetuning: Ref
) -> Stage:
    """Sample from the pretrained and the finetuned model, hold both and real text to the protocol, select one."""
    inputs = {
        "corpus": corpus,
        "tokens": tokens,
        "validation": validation,
        "pretraining": pretraining,
        "finetuning": finetuning,
    }

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.evaluation.models import evaluate_models

        paths = {name: run.store.path(ref) for name, ref in inputs.items()}
        device = str(choose_device(config.device))
        return evaluate_models(config.evaluation, **paths, out=out, seed=config.seed, device=device)

    protocol = load_protocol(config.evaluation.protocol)
    done = build(
        run,
        "evaluation",
        make,
        config=config.model_dump(mode="json", include={"evaluation", "seed"}) | {"protocol": protocol.id},
        inputs=inputs,
        sources=[
            "gdcore.evaluation.models",
            f"gdcore.generators.{config.generator.name}",
            f"gdcore.discriminators.{config.discriminator.name}",
            *protocol.modules,
        ],
    )
    write_run_report(run, inputs | {"evaluation": done.ref})
    show.link("report", run.folder / "report.html", "The run's report")
    show_evaluation(run, done.ref)
    return done


def write_run_report(run: Run, refs: Mapping[str, Ref]) -> None:
    """The page lies in the run's folder, for it says which run it is of; a figure is never computed again for it."""
    folders = {name: run.store.path(ref) for name, ref in refs.items()}
    run.link("data_docs", folders["validation"] / "data_docs")
    about = {
        "run": run.name,
        "config": yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True),
        "refs": {stage: ref.content for stage, ref in refs.items()},
        "environment": environment(),
    }
    stages = {name: folders[name] for name in ("evaluation", "corpus", "validation", "pretraining", "finetuning")}
    write_report(out=run.folder / "report.html", about=about, **stages)


@task(
    name="judge files",
    task_run_name="judge files",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def judge_files(samples: Path, references: Path, train: Path | None, protocol: str) -> dict[str, Any]:
    """Hold one text file to another under a protocol; nothing is stored."""
    from gdcore.evaluation.files import judge_files as judge
    from gdcore.evaluation.files import summary

    judged = judge(samples, references, train, protocol)
    told = summary(judged)
    figures = {wording.metric(name).label: _figure(name, told) for name in told["metrics"]}
    show.markdown("metrics", show.pairs(figures, "metric", "value"), f"{samples.name} under the protocol {protocol}")
    return told


def judgement(evaluation: Path) -> dict[str, Any]:
    """What an evaluation says, for a command to pass on: every row, and the figures of the model that was selected."""
    judged = json.loads((evaluation / "evaluation.json").read_text())
    selection = judged["selection"]
    chosen = next(row for row in judged["rows"] if row["model"] == selection["selected"])
    return {
        "selected": selection["selected"],
        "reason": selection["reason"],
        "protocol": judged["protocol"],
        "counts": chosen["counts"],
        "metrics": chosen["metrics"],
        "rows": judged["rows"],
        "samples": {name: samples[:NUM_TOLD] for name, samples in judged["samples"].items()},
    }


def show_evaluation(run: Run, evaluation: Ref) -> None:
    """The table, the texts and the curves."""
    folder = run.store.path(evaluation)
    judged = json.loads((folder / "evaluation.json").read_text())
    selection = judged["selection"]
    verdict = f"**Selected: {selection['selected']}.** {show.plain(selection['reason'])}"
    text = f"{verdict}\n\n{_main_table(judged)}\n\n### Every decoding\n\n{_every_row(judged)}"
    show.markdown("metrics", text, f"Judged under the protocol {judged['protocol']}; intervals of 95 %")
    texts = {name: [wording.quoted(each) for each in judged["samples"][name][:NUM_TOLD]] for name in MODELS}
    samples = "\n\n".join(f"### {wording.MODEL[name]}\n\n{show.quoted(texts[name])}" for name in MODELS)
    show.markdown("samples", samples, "Samples, unchosen")
    planes = [show.picture(standalone(each.svg), each.title) for each in frontier.pictures(judged)]
    show.pictures("frontier", planes, "Quality against diversity, decoding by decoding")
    diagrams = [show.picture(standalone(drawn), "calibration") for drawn in reliability.charts(judged)]
    show.pictures("calibration", diagrams, "Whether the discriminator's probabilities mean what they say")


def _main_table(judged: dict[str, Any]) -> str:
    """Metrics down, models across, at the decoding that selection looked at."""
    rows = wording.main_rows(judged)
    names = wording.ordered(name for row in rows.values() for name in row["metrics"])
    lines = [[wording.metric(name).label, *(_figure(name, rows[model]) for model in MODELS)] for name in names]
    return show.table(["", *(wording.MODEL[model] for model in MODELS)], lines)


def _every_row(judged: dict[str, Any]) -> str:
    """The headlines at every decoding; the report has the rest."""
    measured = wording.ordered(name for row in judged["rows"] for name in row["metrics"])
    names = [name for name in measured if wording.metric(name).headline] or measured
    lines = [
        [wording.MODEL[row["model"]], wording.decoding(row["decoding"]), *(_figure(name, row) for name in names)]
        for row in judged["rows"]
    ]
    return show.table(["model", "decoding", *(wording.metric(name).label for name in names)], lines)


def _figure(name: str, row: Mapping[str, Any]) -> str:
    """A value with its interval."""
    return wording.told(row["metrics"].get(name), wording.metric(name).digits)
