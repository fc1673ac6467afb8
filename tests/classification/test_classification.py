"""Labelled texts to a classifier: what a class is, what is learnt, how it is measured, what leaves in the bundle."""

import json
import math
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from small_corpus import write_corpus

from gdcore.batches import collate
from gdcore.classification import assessment
from gdcore.classification.labels import class_ids, classes
from gdcore.classification.naive_bayes import NaiveBayes
from gdcore.classification.training import (
    ClassificationConfig,
    fit_temperature,
    load_classifier,
    mean_nll,
    run_classification,
)
from gdcore.discriminators import mlp
from gdcore.errors import UserError
from gdcore.evaluation.intervals import Sampling
from gdcore.export.bundle import ExportConfig
from gdcore.export.classifier import export_classifier
from gdcore.serving.session import Session
from gdcore.shards import Shards
from gdcore.tokens import TokenizerConfig, build_tokens

WORDS = {"fruit": ["apple", "pear", "plum"], "tool": ["saw", "axe", "file"], "none": ["so", "thus", "and"]}
CONFIG = ClassificationConfig(
    steps=40, batch_size=8, learning_rate=0.02, warmup_steps=2, eval_every=10, checkpoint_every=5, precision="float32"
)


def labelled(out: Path, num: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts of four words, of which one or two tell the class."""
    random = np.random.default_rng(seed)
    names = [str(name) for name in random.choice(list(WORDS), num)]
    texts = [" ".join(random.permutation([*random.choice(WORDS[name], 2), "the", "very"])) for name in names]
    return texts, names


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("labelled")
    splits = {split: labelled(root, num, seed) for seed, (split, num) in enumerate(SIZES.items())}
    corpus = write_corpus(root / "corpus", *(texts for texts, _ in splits.values()))
    for split, (_, names) in splits.items():
        path = corpus / f"{split}.parquet"
        given = [*names[:-2], None, "unheard of"] if split == "test" else names
        pl.read_parquet(path).with_columns(label=pl.Series(given, dtype=pl.String)).write_parquet(path)
    tokens, validation = root / "tokens", root / "validation"
    list(build_tokens(TokenizerConfig(kind="word", min_count=1), corpus, tokens))
    validation.mkdir()
    for split, num in SIZES.items():
        np.save(validation / f"kept_{split}.npy", np.arange(1, num))  # the first text is in quarantine
    return {"corpus": corpus, "tokens": tokens, "validation": validation}


SIZES = {"train": 90, "valid": 30, "test": 60}


def training(folders: dict[str, Path], root: Path, config: ClassificationConfig = CONFIG):
    (root / "out").mkdir(parents=True, exist_ok=True)
    (root / "work").mkdir(exist_ok=True)
    small, device = mlp.Config(embedding_dim=8, hidden_dim=8), torch.device("cpu")
    where = {**folders, "out": root / "out", "work": root / "work"}
    return run_classification(small, config, context=12, seed=0, device=device, **where)


@pytest.fixture(scope="module")
def trained(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("trained")
    list(training(folders, root))
    return root / "out"


def test_classes_are_the_train_splits_labels(folders: dict[str, Path], tmp_path: Path) -> None:
    assert classes(folders["corpus"], folders["validation"]) == ["fruit", "none", "tool"]
    ids = class_ids(pl.Series(["tool", None, "new", "fruit"]), ["fruit", "none", "tool"])
    assert ids.tolist() == [2, -1, -1, 0]
    bare = write_corpus(tmp_path / "bare", ["a b", "b c", "c d"])
    np.save(tmp_path / "kept_train.npy", np.arange(3))
    with pytest.raises(UserError, match="no text has a label.*--label-column"):
        classes(bare, tmp_path)
    write_corpus(tmp_path / "bare", ["a b", "b c", "c d"], labels=["x", "x", "x"])
    with pytest.raises(UserError, match="all texts of the train split are labelled 'x'"):
        classes(bare, tmp_path)


def test_it_learns_and_says_what_it_learnt(trained: Path) -> None:
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["valid_accuracy"] > 0.8
    assert (summary["classes"], summary["texts"], summary["without_label"]) == (3, 89, 0)
    lines = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["classifier_loss"] < lines[0]["classifier_loss"]
    assert all(("valid_accuracy" in line) == (line["step"] % 10 == 0) for line in lines)


@pytest.mark.parametrize("stop_at", [3, 17])
def test_a_killed_training_resumes_to_the_same_bytes(
    folders: dict[str, Path], trained: Path, tmp_path: Path, stop_at: int
) -> None:
    killed = training(folders, tmp_path)
    list(islice(killed, stop_at))
    killed.close()
    list(training(folders, tmp_path))
    for name in ("classifier.safetensors", "metrics.jsonl", "summary.json", "config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (trained / name).read_bytes(), name


def test_too_few_texts_for_a_batch_are_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"classification\.batch_size is 100"):
        list(training(folders, tmp_path, CONFIG.model_copy(update={"batch_size": 100})))


@pytest.fixture(scope="module")
def assessed(folders: dict[str, Path], trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("assessed")
    list(assessment.assess(trained, **folders, out=out, seed=0, device=torch.device("cpu")))
    return json.loads((out / "assessment.json").read_text())


def test_the_figures_stand_beside_the_baselines(folders: dict[str, Path], assessed: dict) -> None:
    assert (assessed["texts"], assessed["left_out"]) == (57, 2)
    scores = {name: figure["value"] for name, figure in assessed["figures"].items()}
    assert scores["accuracy"] > 0.8
    assert scores["words_accuracy"] > 0.9
    assert scores["over_words"] == pytest.approx(scores["accuracy"] - scores["words_accuracy"])
    truth = pl.read_parquet(folders["corpus"] / "test.parquet")["label"][1:].to_list()[:-2]
    assert scores["majority_accuracy"] == pytest.approx(truth.count(assessed["majority"]) / 57)
    for figure in assessed["figures"].values():
        assert figure["low"] - 1e-9 <= figure["value"] <= figure["high"] + 1e-9
    assert sum(each["texts"] for each in assessed["calibration"]["raw"]["bins"]) == 57
    assert sum(each["texts"] for each in assessed["confusions"]) == round(57 * (1 - scores["accuracy"]))
    assert len(assessed["mistakes"]) == sum(each["texts"] for each in assessed["confusions"])


def test_macro_f1_and_confusions_by_hand() -> None:
    classes_N, guessed_N = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    # Class 0: 2 right, 3 texts, 4 guesses; class 1: 1, 2, 2; class 2: 0, 1, 0; class 3 neither occurs nor is guessed.
    assert assessment.macro_f1(guessed_N, classes_N, 4) == pytest.approx((4 / 7 + 2 / 4 + 0) / 3)
    found = assessment.confusions(guessed_N, classes_N, ["a", "b", "c", "d"])
    assert [(each["label"], each["named"], each["texts"]) for each in found] == [
        ("a", "b", 1),
        ("b", "a", 1),
        ("c", "a", 1),
    ]
    assert found[1]["share"] == 0.5
    worst = assessment.by_class(guessed_N, classes_N, ["a", "b", "c", "d"])
    assert [(row["label"], row["precision"], round(row["recall"], 3)) for row in worst] == [
        ("c", 0.0, 0.0),
        ("b", 0.5, 0.5),
        ("a", 0.5, 0.667),
    ]


def test_calibration_by_hand() -> None:
    confidence_N, right_N = np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, False, True, True])
    found = assessment.calibration(confidence_N, right_N, Sampling(0))
    # Two bins of two texts: |.95 − .5| and |.55 − 1|, weighed alike.
    assert found["ece"] == pytest.approx((0.45 + 0.45) / 2)
    assert [(each["confidence"], each["right"]["value"]) for each in found["bins"]] == [
        (pytest.approx(0.55), 1.0),
        (pytest.approx(0.95), 0.5),
    ]


def test_the_temperature_makes_three_in_four_mean_three_in_four() -> None:
    """Logits that give log-odds 10 to answers of which one in four is wrong: ln 3 is what they are worth."""
    logits_NK, classes_N = np.array([[10.0, 0.0]] * 4), np.array([0, 0, 0, 1])
    temperature = fit_temperature(logits_NK, classes_N)
    assert temperature == pytest.approx(10 / math.log(3), rel=1e-6)
    assert mean_nll(logits_NK, classes_N, temperature) == pytest.approx(-(3 * math.log(0.75) + math.log(0.25)) / 4)


def test_naive_bayes_by_hand() -> None:
    rows = [[5, 6], [5, 5, 6], [7]]
    lengths_N = np.array([len(row) for row in rows])
    texts = Shards(
        [np.concatenate(rows)], np.zeros(3, int), np.cumsum(lengths_N) - lengths_N, lengths_N, np.zeros(3, int)
    )
    machine = NaiveBayes(texts, np.array([0, 0, 1]), 2, 8, alpha=1.0)
    # Class 0 has seen token 5 three times among five tokens, smoothed over eight: 4 / 13.
    assert np.exp(machine.tokens_KV[0, 5]) == pytest.approx(4 / 13)
    assert np.exp(machine.tokens_KV[1, 7]) == pytest.approx(2 / 9)
    assert np.exp(machine.prior_K).tolist() == pytest.approx([2 / 3, 1 / 3])
    # Of a text «7»: 2/3 · 1/13 against 1/3 · 2/9.
    assert machine.predict(texts).tolist() == [0, 0, 1]


def test_the_bundle_names_the_classes_that_torch_names(folders: dict[str, Path], trained: Path, tmp_path: Path) -> None:
    list(export_classifier(ExportConfig(parity_texts=20), trained, folders["tokens"], tmp_path, {"made": "up"}))
    session, (classifier, about) = Session(tmp_path / "bundle"), load_classifier(trained)
    texts = pl.read_parquet(folders["corpus"] / "test.parquet")["text"].to_list()
    shards = Shards.open(folders["tokens"], "test")
    batch = collate(shards, np.arange(len(shards)))
    with torch.no_grad():
        expected_BK = torch.softmax(classifier(batch.tokens_BT, batch.mask_BT) / about["temperature"], dim=1)
    for n, found in enumerate(session.classify(texts, top=3)):
        assert dict(found) == pytest.approx(dict(zip(about["classes"], expected_BK[n].tolist())), abs=1e-5)
        assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    assert len(session.classify(texts[:2])[0]) == 1
    with pytest.raises(UserError, match="has no generate.onnx: it was made by `gdflow classify`"):
        session.generate()
    with pytest.raises(ValueError, match="text 0 takes"):
        session.classify(["the " * 20])
