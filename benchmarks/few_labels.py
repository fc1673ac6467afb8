"""Classifiers that have few labelled texts: by which machine, and whether made-up texts help.

    python -m benchmarks.few_labels machines RESULTS.jsonl --train train.jsonl --valid valid.jsonl --test test.jsonl
    python -m benchmarks.few_labels augment RESULTS.jsonl --sizes 10 --seeds 0 1 2 3 4
    python -m benchmarks.few_labels table RESULTS.jsonl

Files hold objects with `text` and `label`; without them, sentences of documentation and the package each comes from.
For every size and seed so many texts a class are drawn, the same for all machines; the vocabulary is theirs alone. A
line is written as soon as it is known, and what stands in the file is not computed again.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from gdcore.batches import ordered_batches
from gdcore.classification.augmentation import run_augmentation
from gdcore.classification.generative import run_generative
from gdcore.classification.naive_bayes import fitted
from gdcore.classification.training import (
    ClassificationConfig,
    labelled_split,
    load_classifier,
    predict,
    run_classification,
)
from gdcore.corpora.build import build_corpus
from gdcore.corpora.config import CorpusConfig
from gdcore.evaluation.intervals import Mean, Sampling, figure
from gdcore.plugins import load
from gdcore.tokenizer import Tokenizer
from gdcore.tokens import TokenizerConfig, build_tokens
from gdcore.training.loops import PretrainConfig
from gdcore.training.phases import EVAL_BATCH

CONTEXT = 64
DEVICE = torch.device("cpu")
LEARNING: dict[str, Any] = {"batch_size": 32, "learning_rate": 2e-3, "warmup_steps": 30, "checkpoint_every": 10_000}
WRITING = LEARNING | {"learning_rate": 4e-3}
WRITER: dict[str, Any] = {"embedding_dim": 96, "hidden_dim": 160, "dropout": 0.4}
T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's, for intervals of 95 % over 2, 3, … 10 seeds."""
AUGMENTED: dict[str, dict[str, Any]] = {
    "none": {"how": "none"},
    "words": {"how": "words"},
    "generator": {"how": "generator"},
    "generator, unfiltered": {"how": "generator", "agreement": False, "realness": False, "candidates": 1},
}


def texts(arguments: argparse.Namespace) -> dict[str, pl.DataFrame]:
    """The labelled texts of each split: the user's, or the embedded corpus'."""
    if arguments.train:
        given = {split: getattr(arguments, split) for split in ("train", "valid", "test")}
        frames = {split: pl.read_ndjson(path).select("text", "label") for split, path in given.items()}
    else:
        with tempfile.TemporaryDirectory() as folder:
            for _ in build_corpus(CorpusConfig(), Path(folder)):
                pass
            frames = {split: pl.read_parquet(f"{folder}/{split}.parquet") for split in ("train", "valid", "test")}
    frequent = frames["train"].group_by("label").len().sort("len", "label", descending=[True, False])
    names = frequent["label"].head(arguments.classes).to_list()
    return {split: frame.filter(pl.col("label").is_in(names)) for split, frame in frames.items()}


def drawn(frame: pl.DataFrame, size: int, seed: int) -> pl.DataFrame:
    """So many texts of each label."""
    shuffled = frame.sort("label", "text").sample(fraction=1, shuffle=True, seed=seed)
    return shuffled.group_by("label", maintain_order=True).head(size)


class Trial:
    """One draw of texts, as folders that the stages read."""

    def __init__(self, frames: dict[str, pl.DataFrame], size: int, seed: int, looked_at: int, root: Path) -> None:
        self.seed, self.root = seed, root
        self.folders = {name: root / name for name in ("corpus", "tokens", "validation")}
        for folder in self.folders.values():
            folder.mkdir(parents=True)
        held_out = {"valid": drawn(frames["valid"], looked_at, 0), "test": drawn(frames["test"], 25, 0)}
        for split, frame in {"train": drawn(frames["train"], size, seed), **held_out}.items():
            columns = frame.select("text", "label", prompt=pl.lit(None, pl.String))
            columns.write_parquet(self.folders["corpus"] / f"{split}.parquet")
            np.save(self.folders["validation"] / f"kept_{split}.npy", np.arange(len(frame)))
        summary = {"segmentation": "spaced", "segmentation_reason": "words with spaces"}
        (self.folders["corpus"] / "summary.json").write_text(json.dumps(summary))
        config = TokenizerConfig(kind="word", lowercase=True, min_count=2)
        for _ in build_tokens(config, self.folders["corpus"], self.folders["tokens"]):
            pass
        self.names: list[str] = sorted(set(frames["train"]["label"]))

    def right(self, by: str, name: str, augment: dict[str, Any], steps: int) -> tuple[list[int], dict[str, Any]]:
        """Which test texts a machine tells (1) or not, and what else is to be known."""
        test, classes_N, _ = self._split("test")
        if name == "naive bayes":
            train, valid = self._split("train")[:2], self._split("valid")[:2]
            machine, _ = fitted(train, valid, len(self.names), Tokenizer.load(self.folders["tokens"]).vocab_size)
            return (machine.predict(test) == classes_N).astype(int).tolist(), {}
        schedule = WRITING if by == "generator" else LEARNING
        config = ClassificationConfig.model_validate(schedule | looks(by, steps) | {"by": by, "augment": augment})
        settings: dict[str, Any] = {"context": CONTEXT, "seed": self.seed, "device": DEVICE, **self.folders}
        out, work = self._folder("out"), self._folder("work")
        if by == "generator":
            told: dict[str, Any] = {}
            _done(run_generative(_writer(name), config, **settings, out=out, work=work))
        else:
            architecture, added = load("discriminators", name).Config(), None
            told = {}
            if augment["how"] != "none":
                added = self._folder("added")
                writer = PretrainConfig.model_validate(WRITING | looks("generator", steps))
                made = run_augmentation(
                    _writer("lstm"), writer, architecture, config, **settings, out=added, work=self._folder("making")
                )
                _done(made)
                told = json.loads((added / "summary.json").read_text())
            _done(run_classification(architecture, config, **settings, out=out, work=work, augmentation=added))
        classifier, _ = load_classifier(out)
        logits_NK = predict(classifier, list(ordered_batches(test, EVAL_BATCH)))
        summary = json.loads((out / "summary.json").read_text())
        return (logits_NK.argmax(axis=1) == classes_N).astype(int).tolist(), told | {"steps": summary["best_step"]}

    def _split(self, split: str) -> Any:
        corpus, tokens, validation = (self.folders[name] for name in ("corpus", "tokens", "validation"))
        return labelled_split(tokens, validation, corpus, split, self.names)

    def _folder(self, name: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=name, dir=self.root))


def looks(by: str, steps: int) -> dict[str, int]:
    """For how long a machine learns, at most; to write takes longer than to tell."""
    steps = 2 * steps if by == "generator" else steps
    return {"steps": steps, "eval_every": steps // 15, "patience": 4}


def _writer(name: str) -> Any:
    """A small generator: there is little to learn from."""
    small = WRITER if name == "lstm" else {"hidden_dim": 96, "num_layers": 2, "mlp_dim": 256, "dropout": 0.3}
    return load("generators", name).Config(**small)


def _done(progress: Iterator[Any]) -> None:
    for _ in progress:
        pass


def trials(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What there is to compute, in the order of what it tells."""
    for seed in arguments.seeds:
        for size in arguments.sizes:
            if arguments.what == "machines":
                for by, name in (
                    ("discriminator", "naive bayes"), ("discriminator", "cnn"), ("generator", "lstm"),
                    ("discriminator", "transformer"),
                ):  # fmt: skip
                    yield {"size": size, "seed": seed, "by": by, "name": name, "augment": "none"}
            else:
                for augment in AUGMENTED:
                    yield {"size": size, "seed": seed, "by": "discriminator", "name": "cnn", "augment": augment}


def compute(arguments: argparse.Namespace) -> None:
    """Whatever does not stand in the results yet."""
    frames = texts(arguments)
    known = [{k: line[k] for k in line["trial"]} for line in _lines(arguments.results)]
    for trial in trials(arguments):
        if trial in known:
            continue
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            made = Trial(frames, trial["size"], trial["seed"], arguments.looked_at, Path(folder) / "trial")
            hits, told = made.right(trial["by"], trial["name"], AUGMENTED[trial["augment"]], 300 + 8 * trial["size"])
        line = trial | {"trial": list(trial), "told": told, "cpu_seconds": time.process_time() - start, "right": hits}
        with arguments.results.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(*trial.values(), f"{np.mean(hits):.3f} {line['cpu_seconds']:.0f} s", told, flush=True)


def table(arguments: argparse.Namespace) -> None:
    """Accuracy over all seeds with intervals; and the difference to no augmentation, seed by seed."""
    found: dict[tuple[Any, ...], dict[int, list[int]]] = defaultdict(dict)
    for line in _lines(arguments.results):
        found[line["by"], line["name"], line["augment"], line["size"]][line["seed"]] = line["right"]
    for (by, name, augment, size), seeds in sorted(found.items(), key=lambda each: (each[0][3], str(each[0]))):
        # Every seed is tested on the same texts: a text counts once, by how many seeds told it.
        told = figure(Mean(np.array(list(seeds.values()), np.float64).sum(axis=0) / len(seeds)), Sampling())
        low, high = (f"{told[limit]:.3f}" for limit in ("low", "high"))
        words = [f"{size} a class", by, name, augment, f"{len(seeds)} seeds", f"{told['value']:.3f} ({low} to {high})"]
        plain = found.get((by, name, "none", size), {})
        both = sorted(seeds.keys() & plain.keys())
        if augment != "none" and len(both) > 1:
            gains = np.array([np.mean(seeds[seed]) - np.mean(plain[seed]) for seed in both])
            half = T_QUANTILES[len(both) - 2] * gains.std(ddof=1) / np.sqrt(len(both))
            words.append(f"gain {gains.mean():+.3f} ({gains.mean() - half:+.3f} to {gains.mean() + half:+.3f})")
        print(" | ".join(words))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Classifiers that have few labelled texts.")
    parser.add_argument("what", choices=("machines", "augment", "table"))
    parser.add_argument("results", type=Path)
    for split in ("train", "valid", "test"):
        parser.add_argument(f"--{split}", type=Path)
    parser.add_argument("--classes", type=int, default=30, help="the most frequent ones")
    parser.add_argument("--looked-at", type=int, default=6, help="held-out texts a class, to stop by")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 25, 50, 100])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    chosen = parser.parse_args()
    table(chosen) if chosen.what == "table" else compute(chosen)
