"""Judge again: a run's two models, or any two text files."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.hooks import TELLING
from flows.parameters import Protocol
from flows.recording import recording, stages
from gdcore import runs
from gdcore.config import RunConfig
from gdcore.errors import UserError
from tasks import evaluation as task


def run_name() -> str:
    """What is judged, and how."""
    told = flow_run.parameters
    judged = Path(told["samples"]).name if told.get("samples") else told.get("run", "latest")
    return f"{judged} · {told.get('protocol', '')}"


@flow(name="evaluate", flow_run_name=run_name, persist_result=False, **TELLING)
def evaluate(
    run: str = "latest",
    protocol: Protocol | Path = "gdflow",
    samples: Path | None = None,
    references: Path | None = None,
    train: Path | None = None,
    home: Path = Path(),
) -> dict[str, Any]:
    """Judge a run's models again under a named protocol; or, given text files, those.

    Args:
        run: Name of the run, or the beginning of it; latest is the newest that finished.
        protocol: How to judge: a name, or a YAML file of one's own.
        samples: Generated texts, one a line; then references must be given and no run is judged.
        references: Real held-out texts, one a line.
        train: What the generator learnt from, one text a line: for the copy rate.
        home: The folder that holds artifacts/ and runs/, seen from where the worker works.
    """
    if samples or references:
        if not (samples and references):
            raise UserError("samples and references go together: generated texts are judged against real ones.")
        return task.judge_files(samples, references, train, str(protocol))
    judged = runs.find(home, run)
    config = RunConfig.model_validate(judged.config)
    config = config.model_copy(update={"evaluation": config.evaluation.model_copy(update={"protocol": str(protocol)})})
    with recording(home, "evaluate", config) as record:
        names = ("corpus", "tokens", "validation", "pretraining", "finetuning")
        task.evaluate(record, config, *(judged.ref(name) for name in names))
        result = task.judgement(record.path("evaluation"))
        return {
            "run": str(record.folder),
            "judged": judged.name,
            "report": str(record.folder / "report.html"),
            "stages": stages(record),
            **result,
        }
