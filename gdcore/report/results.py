"""The table of a sweep: every system over its seeds, beside maximum likelihood and real text, as data and as Markdown.

A figure is the mean over seeds; its interval is Student's over the seeds' values, which holds both what training and
what sampling contribute. With one seed it is the run's own.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gdcore.errors import UserError
from gdcore.evaluation.intervals import Figure
from gdcore.report import wording
from gdcore.runs import Run
from gdcore.settings import Settings

HEADLINE = ("nll", "bleu_4", "self_bleu_4", "lm_score", "reverse_lm", "frechet", "c2st", "mauve", "distinct_2",
            "unique", "copy_rate", "length")  # fmt: skip
"""Columns, in this order, as far as the protocol has them."""


SHARED = {"pretrained": "maximum likelihood", "real": "real text"}
"""What all systems have in common, as the table calls it."""


class Trial(Settings):
    """One system with one seed."""

    system: str
    seed: int
    seconds: float
    """Wall time; stages that were reused take none."""
    run: str | None = None
    """Its run folder; None where it failed."""
    failure: str | None = None
    """Why it failed."""


class Cost(NamedTuple):
    """What a system's own stage took, in its run's process."""

    minutes: float
    gigabytes: float
    stopped: bool
    """By the collapse guard."""


def tabulate(about: str, trials: Sequence[Trial]) -> dict[str, Any]:
    """`{"about", "protocol", "seeds", "rows", "failures"}`; a row is a system at one decoding, over all seeds.

    Raises UserError where trials were judged under different protocols.
    """
    figures: dict[tuple[str, str], list[dict[str, Figure]]] = defaultdict(list)
    costs: dict[str, list[Cost]] = defaultdict(list)
    protocols: set[str] = set()
    shared: set[tuple[str, str, int]] = set()  # what systems have in common is told once a seed
    for trial in trials:
        if trial.run is None:
            continue
        run = _run(Path(trial.run))
        judged = json.loads((run.path("evaluation") / "evaluation.json").read_text("utf-8"))
        protocols.add(judged["protocol"])
        tuned = json.loads((run.path("finetuning") / "summary.json").read_text("utf-8"))
        if tuned["steps"]:
            costs[trial.system].append(_cost(run, "finetuning", bool(tuned["stopped"])))
        for row in judged["rows"]:
            model, decoding = row["model"], wording.decoding(row["decoding"])
            if model == "finetuned":
                if tuned["steps"]:
                    figures[trial.system, decoding].append(row["metrics"])
            elif (model, decoding, trial.seed) not in shared:
                shared.add((model, decoding, trial.seed))
                figures[SHARED[model], decoding].append(row["metrics"])
                if model == "pretrained" and (model, "", trial.seed) not in shared:
                    shared.add((model, "", trial.seed))
                    costs[SHARED[model]].append(_cost(run, "pretraining", False))
    if len(protocols) > 1:
        raise UserError(f"trials were judged under different protocols ({', '.join(sorted(protocols))}): start again")
    rows: list[dict[str, Any]] = [
        {
            "system": system,
            "decoding": decoding,
            "seeds": len(measured),
            "metrics": {name: over_seeds([each[name] for each in measured]) for name in measured[0]},
            **_mean_cost(costs.get(system, [])),
        }
        for (system, decoding), measured in figures.items()
    ]
    order = [*reversed(SHARED.values()), *(trial.system for trial in trials)]
    rows.sort(key=lambda row: order.index(row["system"]))
    return {
        "about": about,
        "protocol": next(iter(protocols), None),
        "seeds": sorted({trial.seed for trial in trials}),
        "rows": rows,
        "failures": [trial.model_dump() for trial in trials if trial.failure],
    }


def over_seeds(figures: Sequence[Figure]) -> Figure:
    """Mean over seeds with Student's 95 % interval; of one seed, its own figure."""
    values = np.array([figure["value"] for figure in figures])
    if len(values) == 1:
        return figures[0]
    half = float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    mean = float(values.mean())
    return {"value": mean, "low": mean - half, "high": mean + half}


def markdown(table: dict[str, Any]) -> str:
    """The table for people."""
    rows = table["rows"]
    names = [name for name in HEADLINE if any(name in row["metrics"] for row in rows)]
    seeds = ", ".join(map(str, table["seeds"]))
    header = ["system", "decoding", *(wording.metric(name).label for name in names), "minutes", "GB", "guard stopped"]
    lines = [
        [
            row["system"],
            row["decoding"],
            *(_cell(row["metrics"].get(name), wording.metric(name).digits) for name in names),
            f"{row['minutes']:.1f}" if "minutes" in row else "",
            f"{row['gigabytes']:.1f}" if "gigabytes" in row else "",
            row.get("guard", ""),
        ]
        for row in rows
    ]
    table_text = "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *lines])
    failures = "".join(f"\n- {each['system']}, seed {each['seed']}: {each['failure']}" for each in table["failures"])
    return (
        f"{table['about']}\n\nProtocol {table['protocol']}; seeds {seeds}; mean over seeds ± 95 % (Student).\n\n"
        f"{table_text}\n" + (f"\nFailed:\n{failures}\n" if failures else "")
    )


def _cost(run: Run, stage: str, stopped: bool) -> Cost:
    """What a stage took, told by its manifest: it may have been built by another run."""
    seconds = run.store.manifest(run.ref(stage)).about["seconds"]
    return Cost(seconds / 60, (run.result or {})["peak_memory"] / 2**30, stopped)


def _mean_cost(costs: Sequence[Cost]) -> dict[str, Any]:
    if not costs:
        return {}
    return {
        "minutes": float(np.mean([cost.minutes for cost in costs])),
        "gigabytes": max(cost.gigabytes for cost in costs),
        "guard": f"{sum(cost.stopped for cost in costs)} of {len(costs)}",
    }


def _run(folder: Path) -> Run:
    return Run(home=folder.parents[1], name=folder.name)


def _cell(figure: Figure | None, digits: int) -> str:
    return f"{wording.value(figure, digits)} {wording.spread(figure, digits)}" if figure else "–"
