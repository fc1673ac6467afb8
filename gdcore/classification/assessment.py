"""How good a classifier is: on held-out texts, with intervals, beside what needs no learning and what counts words.

Shapes: N texts, K classes.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from gdcore.batches import ordered_batches
from gdcore.classification.labels import UNKNOWN, class_ids, labels
from gdcore.classification.naive_bayes import fitted
from gdcore.classification.training import Classes, Logits, labelled_split, load_classifier, predict
from gdcore.evaluation.calibration import reliability
from gdcore.evaluation.intervals import Mean, Measurement, Sampling, SetFigure, Share, figures
from gdcore.progress import Progress
from gdcore.training.phases import EVAL_BATCH

NUM_SHOWN = 20
"""Confused pairs, hardest classes and mistakes that are listed."""


def assess(
    classification: Path, corpus: Path, tokens: Path, validation: Path, out: Path, seed: int, device: torch.device
) -> Iterator[Progress]:
    """Write `assessment.json`: figures of the test split, calibration, confusions, mistakes."""
    yield Progress(0, 3, "classifying the test split")
    classifier, about = load_classifier(classification)
    classifier.to(device)
    names, sampling = about["classes"], Sampling(seed, subsamples=100)
    splits = {split: labelled_split(tokens, validation, corpus, split, names) for split in ("train", "valid", "test")}
    train, valid, (test, classes_N, num_left_out) = splits["train"], splits["valid"], splits["test"]
    logits_NK = predict(classifier, list(ordered_batches(test, EVAL_BATCH)))
    yield Progress(1, 3, "counting words")
    machine, alpha = fitted(train[:2], valid[:2], len(names), about["vocab_size"])
    majority = int(np.bincount(train[1]).argmax())
    guesses = {
        "": logits_NK.argmax(axis=1),
        "words_": machine.predict(test),
        "majority_": np.full_like(classes_N, majority),
    }
    yield Progress(2, 3, "intervals")
    measured: dict[str, Measurement] = {}
    for prefix, guessed_N in guesses.items():
        measured |= _figures(prefix, guessed_N, classes_N, len(names))
    gain_N = (guesses[""] == classes_N).astype(float) - (guesses["words_"] == classes_N)
    measured["over_words"] = Mean(gain_N)
    confidence = {
        "raw": _confidence(logits_NK),
        "fitted": _confidence(logits_NK / about["temperature"]),
    }
    right_N = guesses[""] == classes_N
    scores = figures(measured, sampling)
    report = {
        "texts": len(classes_N),
        "left_out": num_left_out,
        "num_classes": len(names),
        "classifier": about["classifier"],
        "majority": names[majority],
        "words_smoothing": alpha,
        "figures": scores,
        "temperature": about["temperature"],
        "calibration": {name: calibration(each_N, right_N, sampling) for name, each_N in confidence.items()},
        "by_class": by_class(guesses[""], classes_N, names),
        "confusions": confusions(guesses[""], classes_N, names),
        "mistakes": _mistakes(corpus, validation, names, guesses[""], confidence["fitted"]),
    }
    (out / "assessment.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    yield Progress(3, 3, f"accuracy {scores['accuracy']['value']:.3f}")


def _figures(prefix: str, guessed_N: Classes, classes_N: Classes, num_classes: int) -> dict[str, Measurement]:
    def f1(rows: NDArray[np.int64]) -> float:
        return macro_f1(guessed_N[rows], classes_N[rows], num_classes)

    return {
        f"{prefix}accuracy": Share(int((guessed_N == classes_N).sum()), len(classes_N)),
        f"{prefix}macro_f1": SetFigure(f1, len(classes_N), len(classes_N), limits=(0, 1)),
    }


def macro_f1(guessed_N: Classes, classes_N: Classes, num_classes: int) -> float:
    """The mean over classes of 2·TP / (2·TP + FP + FN); a class that neither occurs nor is guessed does not count."""
    right_K = np.bincount(classes_N[guessed_N == classes_N], minlength=num_classes)
    both_K = np.bincount(classes_N, minlength=num_classes) + np.bincount(guessed_N, minlength=num_classes)
    return float((2 * right_K[both_K > 0] / both_K[both_K > 0]).mean())


def _confidence(logits_NK: Logits) -> NDArray[np.float64]:
    """The probability given to the class that is named `(N,)`."""
    return 1 / np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True)).sum(axis=1)


def calibration(confidence_N: NDArray[np.float64], right_N: NDArray[np.bool_], sampling: Sampling) -> dict[str, Any]:
    """How confidence and being right agree: expected calibration error, reliability by bins (Guo et al. 2017, §2)."""
    found = reliability(confidence_N, right_N, sampling)
    bins = [{"texts": b["texts"], "confidence": b["predicted"], "right": b["real"]} for b in found["bins"]]
    return {"ece": found["ece"], "ece_floor": found["ece_floor"], "brier": found["brier"], "bins": bins}


def by_class(guessed_N: Classes, classes_N: Classes, names: list[str]) -> list[dict[str, Any]]:
    """Precision, recall and F1 of the classes that are told worst."""
    num = len(names)
    right_K = np.bincount(classes_N[guessed_N == classes_N], minlength=num)
    texts_K, guessed_K = np.bincount(classes_N, minlength=num), np.bincount(guessed_N, minlength=num)
    rows = [
        {
            "label": names[k],
            "texts": int(texts_K[k]),
            "precision": float(right_K[k] / max(guessed_K[k], 1)),
            "recall": float(right_K[k] / max(texts_K[k], 1)),
            "f1": float(2 * right_K[k] / (texts_K[k] + guessed_K[k])),
        }
        for k in range(num)
        if texts_K[k]
    ]
    return sorted(rows, key=lambda row: (row["f1"], row["label"]))[:NUM_SHOWN]


def confusions(guessed_N: Classes, classes_N: Classes, names: list[str]) -> list[dict[str, Any]]:
    """The pairs of a class and another that is named in its stead, most frequent first."""
    wrong_N = guessed_N != classes_N
    counts = np.bincount(classes_N[wrong_N] * len(names) + guessed_N[wrong_N], minlength=len(names) ** 2)
    order = np.argsort(-counts, kind="stable")[:NUM_SHOWN]
    texts_K = np.bincount(classes_N, minlength=len(names))
    pairs = [(cell // len(names), cell % len(names), int(counts[cell])) for cell in order.tolist() if counts[cell]]
    return [
        {"label": names[k], "named": names[other], "texts": num, "share": num / int(texts_K[k])}
        for k, other, num in pairs
    ]


def _mistakes(
    corpus: Path, validation: Path, names: list[str], guessed_N: Classes, confidence_N: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """The wrong answers given with most confidence."""
    given = labels(corpus, validation, "test")
    known = np.flatnonzero(class_ids(given, names) != UNKNOWN)
    kept = np.load(validation / "kept_test.npy")
    texts = pl.read_parquet(corpus / "test.parquet", columns=["text", "label"])[kept][known]
    told = texts.with_columns(named=pl.Series([names[k] for k in guessed_N]), confidence=pl.Series(confidence_N))
    return (
        told.filter(pl.col("label") != pl.col("named")).sort("confidence", descending=True).head(NUM_SHOWN).to_dicts()
    )
