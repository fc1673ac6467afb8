"""Texts made up: what is dropped and swapped, what is kept of what was drawn, and that they are learnt from."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import ValidationError

from gdcore.classification import augmentation
from gdcore.classification.augmentation import changed, most_real, new, realness, run_augmentation
from gdcore.classification.training import AugmentationConfig, ClassificationConfig, open_added, run_classification
from gdcore.discriminators import mlp
from gdcore.errors import UserError
from gdcore.generators import lstm
from gdcore.shards import Shards
from gdcore.training.checkpoint import build_discriminator
from gdcore.training.loops import PretrainConfig
from tests.classification.test_classification import WORDS, folders

__all__ = ["folders"]

SMALL = {"batch_size": 8, "learning_rate": 0.02, "warmup_steps": 2, "eval_every": 20, "precision": "float32"}


def test_words_are_dropped_and_swapped() -> None:
    texts = Shards.of([list(range(10, 30)), [40], list(range(50, 70))])
    rng = np.random.default_rng(0)
    rows, label_D = changed((texts, np.array([0, 1, 2])), AugmentationConfig(how="words", times=100), rng)
    assert len(rows) == 300
    assert np.bincount(label_D).tolist() == [100, 100, 100]
    long = [row for row, label in zip(rows, label_D, strict=True) if label != 1]
    assert np.mean([len(row) for row in long]) == pytest.approx(18, abs=0.4), "one word in ten goes"
    assert all(row == [40] for row, label in zip(rows, label_D, strict=True) if label == 1), "a last word stays"
    moved = np.mean([row != sorted(row) for row in long])
    assert moved > 0.9
    assert all(
        len(set(row)) == len(row) and set(row) <= set(texts.row(label)[1].tolist())
        for row, label in zip(rows, label_D, strict=True)
    )
    assert texts.row(0)[1].tolist() == list(range(10, 30)), "the real ones stay as they are"
    alike, _ = changed((texts, np.array([0, 1, 2])), AugmentationConfig(how="words", strength=0), rng)
    assert sorted(alike) == sorted(texts.row(i)[1].tolist() for i in range(3))


def test_only_what_is_new_is_kept() -> None:
    train = Shards.of([[5, 6], [7]])
    rows, label_D = new([[5, 6], [6, 5], [], [9, 5], [6, 5], [8, 8]], np.arange(6), train, vocab_size=9)
    assert (rows, label_D.tolist()) == ([[6, 5], [8, 8]], [1, 5])


def test_the_most_real_of_each_class_are_kept() -> None:
    real_D, label_D = np.array([0.1, 0.9, 0.5, -3.0, 0.7, 0.2]), np.array([0, 0, 0, 1, 2, 2])
    assert most_real(real_D, label_D, np.array([2.0, 2, 1])).tolist() == [1, 2, 3, 4]
    assert most_real(real_D[:0], label_D[:0], np.array([2.0])).tolist() == []


def test_what_is_written_unlike_real_text_is_found_out() -> None:
    real, rng = Shards.of([[10, 11, 12, 13]] * 40), np.random.default_rng(0)
    rows = [[10, 11, 12, 13] if i % 2 else rng.integers(20, 29, 4).tolist() for i in range(60)]
    torch.manual_seed(0)
    judge = build_discriminator(mlp.Config(embedding_dim=8, hidden_dim=8), 30, 2)
    real_D = realness(judge, ClassificationConfig(steps=30, **SMALL), real, rows, 0)
    assert real_D[1::2].min() > real_D[::2].max()


def making(folders: dict[str, Path], out: Path, work: Path, augment: AugmentationConfig):
    for folder in (out, work):
        folder.mkdir(parents=True)
    small, pretrain = lstm.Config(embedding_dim=16, hidden_dim=16, dropout=0), PretrainConfig(steps=160, **SMALL)
    judge, config = mlp.Config(embedding_dim=8, hidden_dim=8), ClassificationConfig(steps=40, augment=augment, **SMALL)
    settings = {"context": 12, "seed": 0, "device": torch.device("cpu"), **folders}
    list(run_augmentation(small, pretrain, judge, config, **settings, out=out, work=work))
    learnt = {name: out.parent / name for name in ("classifier", "classifying")}
    for folder in learnt.values():
        folder.mkdir()
    where = {"out": learnt["classifier"], "work": learnt["classifying"]}
    list(run_classification(judge, config, **settings, **where, augmentation=out))
    return json.loads((learnt["classifier"] / "summary.json").read_text())


def test_a_generator_makes_up_texts_that_are_learnt_from(folders: dict[str, Path], tmp_path: Path) -> None:
    told = making(folders, tmp_path / "added", tmp_path / "work", AugmentationConfig(how="generator", candidates=4))
    added = pl.read_parquet(tmp_path / "added" / "added.parquet")
    counts = json.loads((tmp_path / "added" / "summary.json").read_text())
    assert counts["real"] == 89
    assert counts["drawn"] == 4 * 89 >= counts["new"] > counts["agreed"] >= counts["added"] == len(added) > 30
    assert (told["texts"], told["made_up"]) == (89, len(added))
    shards, label_D = open_added(tmp_path / "added")
    assert len(shards) == len(label_D) == len(added)
    real = pl.read_parquet(folders["corpus"] / "train.parquet")["text"]
    assert not set(added["text"]) & set(real)
    # The classifier agreed that each is of its class: nearly all hold a word that tells it.
    telling = [any(word in text.split() for word in WORDS[label]) for text, label in added.iter_rows()]
    assert np.mean(telling) > 0.8


def test_changed_words_are_learnt_from_too(folders: dict[str, Path], tmp_path: Path) -> None:
    told = making(folders, tmp_path / "added", tmp_path / "work", AugmentationConfig(how="words", times=0.5))
    assert (told["texts"], told["made_up"]) == (89, 44)
    assert not list((tmp_path / "work").iterdir()), "no model is needed"


def test_what_cannot_be_asked_for(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="learns from real texts alone"):
        ClassificationConfig(by="generator", augment=AugmentationConfig(how="words"))
    prompted = Shards.of([[5, 6, 7]] * 4, [1] * 4)
    monkeypatch.setattr(augmentation, "labelled_split", lambda *_: (prompted, np.array([0, 1, 0, 1]), 0))
    with pytest.raises(UserError, match=r"answer prompts.*augment\.how"):
        making(folders, tmp_path / "added", tmp_path / "work", AugmentationConfig(how="words"))
