"""The table of a sweep: every system over its seeds, beside maximum likelihood and real text, as data and as Markdown.

A figure is the mean over seeds; its interval is Student's over the seeds' values, which holds both what training and
what sampling contribute. With one seed, and for real text, which is measured once, it is the run's own.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gdcore.errors import UserError
from gdcore.evaluation.comparison import across_seeds
from gdcore.evaluation.intervals import Figure
from gdcore.report import curves, two_numbers, wording
from gdcore.runs import Run
from gdcore.settings import Settings

REAL, BASELINE = "real text", "maximum likelihood"
COSTS = ("pretraining", "finetuning", "finetuning_cpu", "gigabytes")


class Trial(Settings):
    """One system with one seed."""

    system: str
    seed: int
    run: str | None = None
    """Its run folder; None where it failed."""
    failure: str | None = None
    """Why it failed."""


class Cost(NamedTuple):
    """What a system's training took."""

    pretraining: float
    """Minutes."""
    finetuning: float
    finetuning_cpu: float
    """Minutes of processor time: what a busy machine does not stretch."""
    gigabytes: float
    """At most, in either."""
    stopped: bool
    """By the collapse guard."""
    selected: bool
    """Whether the run chose the fine-tuned model over the pretrained one."""


class Outcome(NamedTuple):
    """What a finished trial left behind."""

    trial: Trial
    judged: Mapping[str, Any]
    pretraining: str
    """Content of the pretrained model: two systems that share it share a row."""
    tuned: bool
    cost: Cost


def tabulate(about: str, trials: Sequence[Trial]) -> dict[str, Any]:
    """`{"about", "protocol", "seeds", "rows", "failures"}`; a row is a system at one decoding, over all seeds.

    `two_numbers` stands beside them where the protocol has both. A system without fine-tuning is the row of its
    pretrained model. Raises UserError where trials were judged under different protocols.
    """
    outcomes = [_outcome(trial, trial.run) for trial in trials if trial.run]
    protocols = {each.judged["protocol"] for each in outcomes}
    if len(protocols) > 1:
        raise UserError(f"trials were judged under different protocols ({', '.join(sorted(protocols))}): start again")
    baselines = baseline_names(outcomes)
    figures: dict[tuple[str, str], dict[int, dict[str, Figure]]] = defaultdict(dict)
    costs: dict[str, dict[int, Cost]] = defaultdict(dict)
    for each in outcomes:
        names = {"pretrained": baselines[each.pretraining], "finetuned": each.trial.system}
        for row in each.judged["rows"]:
            decoding = wording.decoding(row["decoding"])
            if row["model"] == "real":
                figures[REAL, decoding].setdefault(0, row["metrics"])
            elif row["model"] == "pretrained" or each.tuned:
                name = names[row["model"]]
                figures[name, decoding].setdefault(each.trial.seed, row["metrics"])
                costs[name].setdefault(each.trial.seed, each.cost)
    own = {each.trial.system for each in outcomes if each.tuned}
    order = list(dict.fromkeys([REAL, *baselines.values(), *(each.trial.system for each in outcomes)]))
    rows = [
        {
            "system": system,
            "decoding": decoding,
            "seeds": sorted(by_seed) if system != REAL else [],
            "metrics": over_seeds(list(by_seed.values())),
            **_mean_cost(list(costs[system].values()), system in own),
        }
        for (system, decoding), by_seed in sorted(figures.items(), key=lambda item: order.index(item[0][0]))
    ]
    failures = [trial.model_dump() for trial in trials if trial.failure]
    seeds = sorted({trial.seed for trial in trials})
    table = {"about": about, "protocol": next(iter(protocols), None), "seeds": seeds, "rows": rows}
    found = two_numbers.read(figures)
    return {**table, **({"two_numbers": found} if found else {}), "failures": failures}


def baseline_names(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """What each pretrained model is called, by its content: the system that stops there, else after who starts there.

    The same model with other seeds has the same name; one that all systems share needs no surname.
    """
    users: dict[str, list[Outcome]] = defaultdict(list)
    for each in outcomes:
        users[each.pretraining].append(each)
    named: dict[str, str] = {}
    for content, group in users.items():
        plain = [each.trial.system for each in group if not each.tuned]
        named[content] = plain[0] if plain else f"{BASELINE} of {group[0].trial.system}"
    shared = len(set(named.values())) == 1 and all(each.tuned for each in outcomes)
    return dict.fromkeys(named, BASELINE) if shared else named


def over_seeds(measured: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    """Each metric that all seeds have: its mean with Student's 95 % interval; of one seed, its own figure."""
    shared = [name for name in measured[0] if all(name in each for each in measured)]
    if len(measured) == 1:
        return {name: measured[0][name] for name in shared}
    return {name: across_seeds(np.array([each[name]["value"] for each in measured])) for name in shared}


def fine_tuning_curves(trials: Sequence[Trial]) -> dict[str, str]:
    """A picture (SVG) of every system that was fine-tuned, over its seeds."""
    logs: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(dict)
    for trial in trials:
        if trial.run:
            lines = (_run(trial.run).path("finetuning") / "metrics.jsonl").read_text("utf-8").splitlines()
            logs[trial.system][trial.seed] = [json.loads(line) for line in lines]
    drawn = {system: curves.draw(system, by_seed) for system, by_seed in logs.items()}
    return {system: picture for system, picture in drawn.items() if picture}


def write(path: Path, table: Mapping[str, Any], pictures: Mapping[str, str]) -> None:
    """The table as a Markdown file, and the pictures in a folder of the same name beside it, each linked to its row."""
    folder = path.with_suffix("")
    path.parent.mkdir(parents=True, exist_ok=True)
    links = {system: f"{folder.name}/{re.sub('[^a-z0-9]+', '-', system.lower())}.svg" for system in pictures}
    if pictures:
        folder.mkdir(parents=True, exist_ok=True)
    for system, picture in pictures.items():
        (path.parent / links[system]).write_text(picture, "utf-8")
    path.write_text(markdown(table, links), "utf-8")


def markdown(table: Mapping[str, Any], links: Mapping[str, str] | None = None) -> str:
    """The table for people; a system in `links` leads to its picture."""
    rows, links = table["rows"], links or {}
    measured = wording.ordered(name for row in rows for name in row["metrics"])
    names = [name for name in measured if wording.metric(name).headline]
    header = ["system", "decoding", *(wording.metric(name).label for name in names)]
    header += ["pretraining, min", "fine-tuning, min", "of it CPU", "memory, GB", "guard stopped", "selected"]
    lines = [
        [
            f"[{row['system']}]({links[row['system']]})" if row["system"] in links else row["system"],
            row["decoding"],
            *(wording.told(row["metrics"].get(name), wording.metric(name).digits) for name in names),
            *(f"{row[part]:.1f}" if part in row else "" for part in COSTS),
            row.get("guard", ""),
            row.get("selected", ""),
        ]
        for row in rows
    ]
    failures = "".join(f"\n- {each['system']}, seed {each['seed']}: {each['failure']}" for each in table["failures"])
    text = "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *lines])
    numbers = f"\n{two_numbers.markdown(table['two_numbers'])}" if "two_numbers" in table else ""
    text = f"{table['about']}\n\n{_caption(table)}\n\n{text}\n{numbers}"
    return text + (f"\nFailed:\n{failures}\n" if failures else "")


def _caption(table: Mapping[str, Any]) -> str:
    seeds = table["seeds"]
    if len(seeds) == 1:
        return f"Protocol {table['protocol']}; seed {seeds[0]}; ± is the run's own 95 % interval."
    told = f"mean over seeds {', '.join(map(str, seeds))} ± 95 % (Student); real text is measured once, ± its own"
    return f"Protocol {table['protocol']}; {told}."


def _outcome(trial: Trial, folder: str) -> Outcome:
    run = _run(folder)
    judged = json.loads((run.path("evaluation") / "evaluation.json").read_text("utf-8"))
    tuned = json.loads((run.path("finetuning") / "summary.json").read_text("utf-8"))
    # Told by the manifests: another run may have built the stage.
    before, after = (run.store.manifest(run.ref(stage)).about for stage in ("pretraining", "finetuning"))
    memory = max(before["peak_memory"], after["peak_memory"]) / 2**30
    selected = judged["selection"]["selected"] == "finetuned"
    cost = Cost(
        pretraining=before["seconds"] / 60,
        finetuning=after["seconds"] / 60,
        finetuning_cpu=after["cpu_seconds"] / 60,
        gigabytes=memory,
        stopped=bool(tuned["stopped"]),
        selected=selected,
    )
    return Outcome(trial, judged, run.ref("pretraining").content, tuned["steps"] > 0, cost)


def _run(folder: str) -> Run:
    return Run(home=Path(folder).parents[1], name=Path(folder).name)


def _mean_cost(costs: Sequence[Cost], tuned: bool) -> dict[str, Any]:
    """Of a pretrained model, what pretraining took; of a fine-tuned one, both, and what came of it."""
    if not costs:
        return {}
    told: dict[str, Any] = {
        "pretraining": sum(cost.pretraining for cost in costs) / len(costs),
        "gigabytes": max(cost.gigabytes for cost in costs),
    }
    if tuned:
        told["finetuning"] = sum(cost.finetuning for cost in costs) / len(costs)
        told["finetuning_cpu"] = sum(cost.finetuning_cpu for cost in costs) / len(costs)
        told["guard"] = f"{sum(cost.stopped for cost in costs)} of {len(costs)}"
        told["selected"] = f"{sum(cost.selected for cost in costs)} of {len(costs)}"
    return told
