"""The classifying flow as a whole: what a run leaves behind, what the next one reuses, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_run import write_texts

from flows.classify import classify
from gdcore.corpora.config import CorpusConfig
from gdcore.serving.session import Session

STAGES = ["corpus", "tokens", "validation", "classification", "assessment", "classifier"]
SETTINGS: dict[str, Any] = {
    "tokens.min_count": 1,
    "context": 16,
    "corpus.valid_fraction": 0.15,
    "corpus.test_fraction": 0.15,
    "discriminator": {"name": "mlp", "embedding_dim": 32, "hidden_dim": 32, "dropout": 0},
    "classification": {"steps": 40, "batch_size": 16, "eval_every": 10, "learning_rate": 0.02, "warmup_steps": 2},
    "export.parity_texts": 20,
}


def run(home: Path, **corpus: Any) -> dict[str, Any]:
    """Sentences of the toy grammar, labelled by who does it."""
    texts = write_texts(home / "texts.txt").read_text().splitlines()
    path = home / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text, "who": " ".join(text.split()[:2])}) + "\n" for text in texts))
    return classify(corpus=CorpusConfig(paths=(str(path),), **corpus), settings=SETTINGS, home=home)


@pytest.mark.slow
def test_a_labelled_corpus_becomes_a_classifier(tmp_path: Path, prefect_server: str) -> None:
    first = run(tmp_path, label_column="who")
    assert {name: line["state"] for name, line in first["stages"].items()} == dict.fromkeys(STAGES, "built")
    assert first["num_classes"] == 8
    assert first["figures"]["accuracy"]["value"] > 0.5 > first["figures"]["majority_accuracy"]["value"]
    assert json.loads(json.dumps(first)) == first, "the command line prints it"
    assert json.loads(Path(first["assessment"]).read_text())["figures"] == first["figures"]
    ((name, probability),) = Session(first["bundle"]).classify(["the queen draws old songs today"])[0]
    assert name == "the queen"
    assert 0 < probability <= 1
    assert not (tmp_path / "runs" / "latest").exists(), "there is nothing in it to generate with"
    steps = [json.loads(line) for line in (Path(first["run"]) / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if line["stage"] == "classification"] == list(range(1, 41))
    second = run(tmp_path, label_column="who")
    assert {name: line["state"] for name, line in second["stages"].items()} == dict.fromkeys(STAGES, "reused")
    assert second["bundle"] == first["bundle"]
