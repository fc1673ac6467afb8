"""A run copied into MLflow, read back with MLflow's own client where it is installed."""

import importlib.util
import json
from pathlib import Path

import pytest

from gdcore import runs
from gdcore.errors import UserError
from gdcore.tracking import flat, log_to_mlflow

INSTALLED = importlib.util.find_spec("mlflow") is not None


def finished(home: Path) -> runs.Run:
    """A run of one stage, as its end leaves it."""
    run = runs.start(home, "tiny", {"pretrain": {"steps": 6}})
    nll = {"nll": {"value": 4.0, "low": 3.9, "high": 4.1}}
    with run.store.draft("evaluation", "0" * 64) as draft:
        judged = {"rows": [{"model": "pretrained", "decoding": {"temperature": 1.0}, "metrics": nll}]}
        (draft / "evaluation.json").write_text(json.dumps(judged))
        run.record("evaluation", run.store.publish(draft, "evaluation", "0" * 64, {}), "built", 1.0)
    lines = ({"step": step, "generator_nll": 5 - step / 1000, "alarm": None} for step in range(1, 1501))
    run.log_metrics("pretraining", map(json.dumps, lines))
    for name in ("report.html", "run.log"):
        (run.folder / name).write_text(name)
    run.finish({"selected": "pretrained", "protocol": "gdflow@0", "reason": "none was better"})
    return run


def test_settings_are_flat() -> None:
    assert dict(flat({"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None})) == {"a.b.c": 1, "a.d": [1, 2], "e": None}


@pytest.mark.skipif(INSTALLED, reason="MLflow is installed")
def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gdflow\[mlflow\]"):
        log_to_mlflow(runs.start(tmp_path, "tiny", {}), "sqlite:///none.db", "gdflow")


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs the extra mlflow")
@pytest.mark.filterwarnings("default")
def test_mlflow_gets_settings_curves_figures_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)  # where MLflow puts files by default
    run, uri = finished(tmp_path / "home"), f"sqlite:///{tmp_path / 'ml.db'}"
    told = log_to_mlflow(run, uri, "tests")
    assert told["state"] == "logged"
    assert log_to_mlflow(run, uri, "tests") == told | {"state": "known"}
    client = MlflowClient(tracking_uri=uri)
    kept = client.get_run(told["run_id"])
    assert kept.info.status == "FINISHED"
    assert kept.data.params["pretrain.steps"] == "6"
    assert kept.data.tags["gdflow.selected"] == "pretrained"
    assert [kept.data.metrics[f"pretrained/nll{part}"] for part in ("", ".low", ".high")] == [4.0, 3.9, 4.1]
    curve = client.get_metric_history(told["run_id"], "pretraining/generator/nll")
    assert [(each.step, each.value) for each in curve] == [(step, 5 - step / 1000) for step in range(1, 1501)]
    assert {each.path for each in client.list_artifacts(told["run_id"])} >= {"report.html", "evaluation.json"}
    with pytest.raises(UserError, match="refused"):
        log_to_mlflow(run, "nope://x", "tests")


@pytest.mark.skipif(not INSTALLED, reason="needs the extra mlflow")
def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    run = runs.start(tmp_path, "tiny", {})
    with pytest.raises(UserError, match="not finished"):
        log_to_mlflow(run, "sqlite:///none.db", "tests")
