"""A finished run in MLflow: settings, curves, figures and files, for those who keep their experiments there.

Needs the extra `mlflow`. What MLflow gets is a copy; the run's folder and the store stay what counts.
"""

import importlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from gdcore.errors import UserError
from gdcore.report import wording
from gdcore.report.event_files import tag
from gdcore.runs import Run

FILES = ("report.html", "config.yaml", "refs.json", "run.log")
BATCH = 1000
"""Metrics, and a tenth of it parameters, that MLflow takes at once."""
MARK = "gdflow.run"
"""The tag by which a run is found again."""


def log_to_mlflow(run: Run, uri: str, experiment: str) -> dict[str, str]:
    """Log a run to the tracking store at `uri` (an address, or `sqlite:///FILE`); a second time changes nothing.

    Returns MLflow's `run_id` and `experiment`, and in `state` whether it was `logged` or `known` already. Raises
    UserError without the extra, for an unfinished run, or where the store refuses.
    """
    mlflow = {name: _part(name) for name in ("entities", "exceptions", "tracking")}
    result = run.result
    if result is None:
        raise UserError(f"run {run.name} is not finished: start it again with the same settings, it goes on")
    try:
        client = mlflow["tracking"].MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        home: str = found.experiment_id if found else client.create_experiment(experiment)
        if known := client.search_runs([home], f"tags.`{MARK}` = '{run.name}'"):
            return {"run_id": known[0].info.run_id, "experiment": experiment, "state": "known"}
        return {
            "run_id": _log(client, mlflow["entities"], home, run, result),
            "experiment": experiment,
            "state": "logged",
        }
    except mlflow["exceptions"].MlflowException as error:
        raise UserError(f"MLflow at {uri} refused; expected an address or sqlite:///FILE. It says: {error}") from error


def _part(name: str) -> Any:
    """A module of MLflow's, which is no dependency of gdflow's."""
    try:
        return importlib.import_module(f"mlflow.{name}")
    except ImportError as error:
        raise UserError("MLflow is not installed here. Install gdflow with it: pip install 'gdflow[mlflow]'") from error


def _log(client: Any, entities: Any, experiment: str, run: Run, result: Mapping[str, Any]) -> str:
    """Write one run, marked as finished only when all of it is there."""
    begun = int(datetime.strptime(run.name[:16] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp() * 1000)
    tags = {
        MARK: run.name,
        "gdflow.selected": str(result["selected"]),
        "gdflow.protocol": str(result["protocol"]),
        "mlflow.note.content": str(result["reason"]),
        **{f"gdflow.{stage}": line.ref.content for stage, line in run.refs.items()},
    }
    created = client.create_run(experiment, start_time=begun, tags=tags, run_name=run.name)
    run_id: str = created.info.run_id
    params = (entities.Param(key, str(value)[:500]) for key, value in flat(run.config))
    while batch := list(islice(params, BATCH // 10)):
        client.log_batch(run_id, params=batch)
    metrics = (entities.Metric(key, value, begun, step) for key, value, step in _numbers(run))
    while batch := list(islice(metrics, BATCH)):
        client.log_batch(run_id, metrics=batch)
    for name in FILES:
        client.log_artifact(run_id, str((run.folder / name).resolve()))
    client.log_artifact(run_id, str(run.path("evaluation") / "evaluation.json"))
    client.set_terminated(run_id)
    return run_id


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings by dotted key: `finetune.steps`."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _numbers(run: Run) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of every number: the curves, then each model's figures with their limits."""
    for line in (run.folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for key, value in row.items():
            if key != "step" and isinstance(value, int | float):
                yield f"{row['stage']}/{tag(key)}", float(value), row["step"]
    evaluation: dict[str, Any] = json.loads((run.path("evaluation") / "evaluation.json").read_text("utf-8"))
    for model, row in wording.main_rows(evaluation).items():
        for name, figure in row["metrics"].items():
            yield f"{model}/{name}", figure["value"], 0
            yield f"{model}/{name}.low", figure["low"], 0
            yield f"{model}/{name}.high", figure["high"], 0
