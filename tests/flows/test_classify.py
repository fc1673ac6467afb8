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


def run(home: Path, settings: dict[str, Any] | None = None, **corpus: Any) -> dict[str, Any]:
    """Sentences of the toy grammar, labelled by who does it."""
    texts = write_texts(home / "texts.txt").read_text().splitlines()
    path = home / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text, "who": " ".join(text.split()[:2])}) + "\n" for text in texts))
    return classify(corpus=CorpusConfig(paths=(str(path),), **corpus), settings=SETTINGS | (settings or {}), home=home)


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


@pytest.mark.slow
def test_texts_are_made_up_for_a_classifier_that_has_few(tmp_path: Path, prefect_server: str) -> None:
    small = {"generator": {"embedding_dim": 16, "hidden_dim": 16}, "pretrain": {"steps": 60, "batch_size": 16}}
    result = run(tmp_path, small | {"classification.augment.how": "generator"}, label_column="who")
    assert list(result["stages"]) == [*STAGES[:3], "augmentation", *STAGES[3:]]
    (summary,) = (tmp_path / "artifacts" / "classification").glob("*/summary.json")
    assert json.loads(summary.read_text())["made_up"] > 0
    assert Session(result["bundle"]).classify(["the queen draws old songs today"])[0]


@pytest.mark.slow
def test_a_generator_names_classes_by_bayes_rule(tmp_path: Path, prefect_server: str) -> None:
    writer = {"generator": {"embedding_dim": 32, "hidden_dim": 32, "dropout": 0}, "classification.by": "generator"}
    result = run(tmp_path, writer | {"classification.steps": 120}, label_column="who")
    assert list(result["stages"]) == [name for name in STAGES if name != "classifier"]
    assert result["bundle"] is None
    assert result["classifier"]["name"] == "lstm"
    assert result["figures"]["accuracy"]["value"] > result["figures"]["majority_accuracy"]["value"]
