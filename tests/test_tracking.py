"""A run copied into MLflow, read back with MLflow's own client where it is installed."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from gdcore import runs
from gdcore.errors import UserError
from gdcore.tracking import flat, log_to_mlflow

INSTALLED = importlib.util.find_spec("mlflow") is not None


def test_settings_are_flat() -> None:
    assert dict(flat({"a": {"b": {"c": 1}, "d": [1, 2]}, "e": None})) == {"a.b.c": 1, "a.d": [1, 2], "e": None}


@pytest.mark.skipif(INSTALLED, reason="MLflow is installed")
def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gdflow\[mlflow\]"):
        log_to_mlflow(runs.start(tmp_path, "tiny", {}), "sqlite:///none.db", "gdflow")


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="needs the extra mlflow")
@pytest.mark.filterwarnings("default")
def test_mlflow_gets_settings_curves_figures_and_files(
    small_home: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.chdir(tmp_path)  # where MLflow puts files by default
    home, result = small_home
    run, uri = runs.find(home), f"sqlite:///{tmp_path / 'ml.db'}"
    told = log_to_mlflow(run, uri, "tests")
    assert told["state"] == "logged"
    assert log_to_mlflow(run, uri, "tests") == told | {"state": "known"}
    client = MlflowClient(tracking_uri=uri)
    kept = client.get_run(told["run_id"])
    assert kept.info.status == "FINISHED"
    assert kept.data.params["pretrain.steps"] == "6"
    assert kept.data.tags["gdflow.selected"] == result["selected"]
    nll = result["rows"][1]["metrics"]["nll"]
    assert [kept.data.metrics[f"pretrained/nll{part}"] for part in ("", ".low", ".high")] == [
        nll[part] for part in ("value", "low", "high")
    ]
    curve = client.get_metric_history(told["run_id"], "pretraining/generator/nll")
    assert [each.step for each in curve] == [1, 2, 3, 4, 5, 6]
    assert {each.path for each in client.list_artifacts(told["run_id"])} >= {"report.html", "evaluation.json"}
    with pytest.raises(UserError, match="refused"):
        log_to_mlflow(run, "nope://x", "tests")


@pytest.mark.skipif(not INSTALLED, reason="needs the extra mlflow")
def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    run = runs.start(tmp_path, "tiny", {})
    with pytest.raises(UserError, match="not finished"):
        log_to_mlflow(run, "sqlite:///none.db", "tests")
