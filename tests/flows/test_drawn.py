"""A run of a corpus that is drawn, from the command's settings to the report."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import SETTINGS

from gdcore.artifacts import Store

OWN = {
    "oracle": {"corpus.oracle.vocab_size": 50, "corpus.oracle.dim": 4, "corpus.oracle.length": 6, "context": 8},
    "grammar": {"context": 64},
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", sorted(OWN))
def test_a_run_from_a_known_distribution(tmp_path: Path, prefect_server: str, preset: str) -> None:
    from flows.train import train
    from gdcore.corpora.config import CorpusConfig

    sizes = {f"corpus.{preset}.{split}": number for split, number in {"train": 200, "valid": 100, "test": 100}.items()}
    settings: dict[str, Any] = {**SETTINGS, **sizes, **OWN[preset], "promotion.mode": "off"}
    result = train(preset=preset, corpus=CorpusConfig(), settings=settings, home=tmp_path)
    assert result["counts"]["read"] == 400
    assert {"nll", "nll_tempered", "nll_oracle", "in_language"} & result["metrics"].keys() >= {"nll", "in_language"}
    folder = Path(result["run"])
    assert "NLL under the oracle" in (folder / "report.html").read_text()
    corpus = next(each for each in Store(tmp_path / "artifacts").all() if each.kind == "corpus")
    files = {path.name for path in Store(tmp_path / "artifacts").path(corpus).iterdir()}
    assert {"vocabulary.txt", {"oracle": "oracle.npz", "grammar": "grammar.pcfg"}[preset]} <= files
    assert json.loads(json.dumps(result)) == result
