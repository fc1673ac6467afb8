"""The text of today against the text that the champion learnt from: is retraining due?"""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prefect.events import emit_event

from gdcore.artifacts import Ref
from gdcore.progress import Progress
from gdcore.release.champion import Decision
from gdcore.release.drift import DriftConfig
from gdcore.runs import Run, Stage
from tasks import show
from tasks.stage import build, stage

log = logging.getLogger(__name__)


@stage("drift")
def compare(run: Run, config: DriftConfig, champion: Decision, corpus: Ref) -> Stage:
    """Compare words, lengths and what a classifier can tell apart, each with its floor; say if retraining is due."""
    before, after = champion.beside["corpus"], corpus

    def make(out: Path, work: Path) -> Iterator[Progress]:
        from gdcore.release import drift

        return drift.compare(config, run.store.path(before), run.store.path(after), out)

    done = build(
        run,
        "drift",
        make,
        config={"drift": config},
        inputs={"before": before, "after": after},
        sources=["gdcore.release.drift", "gdcore.classifiers.linear"],
    )
    show_drift(run, done.ref)
    return done


def tell(run: Run, name: str, champion: Decision, drifted: Ref) -> dict[str, Any]:
    """What was found; where retraining is due, also as a Prefect event, for automations to act on."""
    told = report(run, drifted)
    log.info("%s", told["reason"])
    if told["due"]:
        emit_event(
            event="gdflow.corpus.drifted",
            resource={
                "prefect.resource.id": f"gdflow.champion.{name}",
                "prefect.resource.name": name,
                "gdflow.run": champion.run,
            },
            payload={"reason": told["reason"], "moved": told["moved"], "growth": told["growth"]},
        )
    return told


def report(run: Run, drifted: Ref) -> dict[str, Any]:
    return json.loads((run.store.path(drifted) / "drift.json").read_text("utf-8"))


def show_drift(run: Run, drifted: Ref) -> None:
    """Every figure with its floor, and the words that the champion has never seen."""
    told = report(run, drifted)
    rows = [
        (
            "✗" if each["drifted"] else "✓",
            each["label"],
            f"{each['value']:.3f}",
            f"{each['floor']:.3f}",
            f"{each['excess']['low']:.3f} to {each['excess']['high']:.3f}",
            f"{each['limit']:g}",
        )
        for each in told["moved"]
    ]
    growth = told["growth"]
    rows.append(("✗" if growth["drifted"] else "✓", "growth", f"{growth['share']:.3f}", "", "", f"{growth['limit']:g}"))
    columns = ("", "figure", "new text", "champion's own text", "excess, 95 %", "limit")
    parts = [f"**{show.plain(told['reason'])}**", show.table(columns, rows)]
    if told["new_words"]:
        parts.append(show.table(("word the champion has never seen", "times"), told["new_words"]))
    show.markdown("drift", "\n\n".join(parts), "Today's text against the champion's")
