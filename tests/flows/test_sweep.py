"""A sweep end to end: real trials in processes of their own, stopped, gone on with, and tabled."""

import signal
from pathlib import Path

import pytest
from small_sweep import awaited, begin, finished, trials

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_stopped_gone_on_with_and_tabled(tmp_path: Path) -> None:
    process = begin(tmp_path)
    awaited(tmp_path, "tokens/*", process)
    assert 1 <= len(trials(process)) <= 2, "so many at a time and no more"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143, said
    assert not trials(process)
    assert not (tmp_path / "table.md").exists()

    result, _ = finished(begin(tmp_path))
    assert result["failures"] == []
    assert [row["system"] for row in result["rows"]] == ["real text", "mle", "gad, cold"]
    assert all(row["seeds"] == [0, 1] for row in result["rows"][1:])
    table = (tmp_path / "table.md").read_text()
    assert "| [gad, cold](table/gad-cold.svg) | T=1 |" in table
    assert (tmp_path / "table" / "gad-cold.svg").read_text().startswith("<svg")
    held = {path.parent.parent.name for path in tmp_path.glob("artifacts/*/*/manifest.json")}
    assert "promotion" not in held, "trials are no candidates"
    assert len(list(tmp_path.glob("artifacts/pretraining/*"))) == 2, "shared by the systems of a seed"


def test_a_cluster_that_does_not_answer_is_told(tmp_path: Path) -> None:
    process = begin(tmp_path, "--cluster", "tcp://127.0.0.1:1")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in said
    assert "Traceback" not in said
