"""Texts made up for a classifier that has few real ones to learn from, from folder to folder.

`words`: every real text again with some words dropped and some pairs swapped, the two operations of EDA that need no
thesaurus (Wei and Zou 2019). `generator`: a language model learns to write texts of each class; what it draws is kept
where a classifier that has read the real texts alone takes it for its class (Anaby-Tavor et al. 2020), and of that,
what a discriminator finds most real.

Shapes: N real texts, D drawn texts, K classes.
"""

from collections.abc import Generator, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from gdcore.batches import BatchStream, ordered_batches
from gdcore.classification.bayes import build_bayes
from gdcore.classification.generative import Labelled, learn_to_write
from gdcore.classification.labels import classes
from gdcore.classification.training import (
    AugmentationConfig,
    ClassificationConfig,
    ClassifierState,
    labelled_split,
    learn,
    load_classifier,
    predict,
    run_classification,
)
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.sampling import sample
from gdcore.shards import Shards, ShardWriter
from gdcore.tokenizer import Tokenizer
from gdcore.training.checkpoint import build_discriminator
from gdcore.training.loops import PretrainConfig
from gdcore.training.phases import EVAL_BATCH, adamw, write_json

Rows = list[list[int]]
FOLDS = 2
"""Parts that drawn texts fall into: each is judged by a discriminator that learnt from the other."""
JUDGE_STEPS = 300
"""Batches that such a discriminator learns from, at most."""


def run_augmentation(
    generator: Any,
    pretrain: PretrainConfig,
    discriminator: Any,
    config: ClassificationConfig,
    *,
    context: int,
    seed: int,
    device: torch.device,
    corpus: Path,
    tokens: Path,
    validation: Path,
    out: Path,
    work: Path,
) -> Iterator[Progress]:
    """Write made-up texts of each class of the train split: their ids, `classes.npy`, and `added.parquet` to be read.

    `work` survives a kill. Raises UserError where texts answer prompts.
    """
    torch.manual_seed(seed)
    names = classes(corpus, validation)
    train, classes_N, _ = labelled_split(tokens, validation, corpus, "train", names)
    if train.prompt_lengths_N.any():
        raise UserError("texts that answer prompts cannot be made up: set classification.augment.how to none")
    tokenizer, rng = Tokenizer.load(tokens), np.random.default_rng(seed)
    counts: dict[str, int] = {"real": len(train)}
    if config.augment.how == "words":
        rows, label_D = changed((train, classes_N), config.augment, rng)
    else:
        where = {"corpus": corpus, "tokens": tokens, "validation": validation}
        valid = labelled_split(tokens, validation, corpus, "valid", names)[:2]
        classifier = build_bayes(generator, tokenizer.vocab_size, context, np.bincount(classes_N)).to(device)
        (work / "generator").mkdir(parents=True, exist_ok=True)
        yield from learn_to_write(classifier, pretrain, (train, classes_N), valid, seed, work / "generator")
        rows, label_D = drawn(classifier, (train, classes_N), config.augment, seed)
        counts |= {"drawn": len(rows)}
        rows, label_D = new(rows, label_D, train, tokenizer.vocab_size)
        counts |= {"new": len(rows)}
        if config.augment.agreement and rows:
            named_D = yield from _named(discriminator, config, rows, where, context, seed, device, work)
            agreed = np.flatnonzero(named_D == label_D)
            rows, label_D = [rows[i] for i in agreed], label_D[agreed]
            counts |= {"agreed": len(rows)}
        real_D = rng.random(len(rows))
        if config.augment.realness and len(rows) >= FOLDS * config.batch_size:
            judge = build_discriminator(discriminator, tokenizer.vocab_size, 2).to(device)
            real_D = realness(judge, config, train, rows, seed)
        best = most_real(real_D, label_D, np.ceil(np.bincount(classes_N) * config.augment.times))
        rows, label_D = [rows[i] for i in best], label_D[best]
    _write(out, rows, label_D, names, tokenizer)
    write_json(out / "summary.json", counts | {"added": len(rows)})
    yield Progress(len(rows), len(rows), f"{len(rows):,} texts made up")


def changed(train: Labelled, config: AugmentationConfig, rng: np.random.Generator) -> tuple[Rows, NDArray[np.int64]]:
    """Real texts, each in turn as often as is asked for, words dropped and swapped at random; at least one stays."""
    shards, classes_N = train
    order = list(islice(cycle(rng.permutation(len(shards)).tolist()), round(len(shards) * config.times)))
    rows: Rows = []
    for i in order:
        text = shards.row(i)[1]
        text = text[kept] if (kept := rng.random(len(text)) >= config.strength).any() else text
        text = text.copy()
        for _ in range(round(config.strength * len(text))):
            a, b = rng.integers(len(text), size=2)
            text[[a, b]] = text[[b, a]]
        rows.append(text.tolist())
    return rows, classes_N[order]


def drawn(classifier: Any, train: Labelled, config: AugmentationConfig, seed: int) -> tuple[Rows, NDArray[np.int64]]:
    """Texts of the generator, the classes as frequent as they are in the train split."""
    shards, classes_N = train
    num = round(len(classes_N) * config.times * config.candidates)
    told = [[int(k) + classifier.vocab_size] for k in classes_N]
    rows = sample(classifier.generator, num, seed=seed, prompts=told, max_tokens=int(shards.lengths_N.max()) + 1)
    return rows, np.resize(classes_N, num)


def new(rows: Rows, label_D: NDArray[np.int64], train: Shards, vocab_size: int) -> tuple[Rows, NDArray[np.int64]]:
    """Without texts that are empty, that hold the sign of a class, that stand in the train split or came before."""
    seen = {tuple(train.row(i)[1].tolist()) for i in range(len(train))} | {()}
    kept: list[int] = []
    for i, row in enumerate(map(tuple, rows)):
        if row not in seen and max(row) < vocab_size:
            seen.add(row)
            kept.append(i)
    return [rows[i] for i in kept], label_D[kept]


def _named(
    discriminator: Any,
    config: ClassificationConfig,
    rows: Rows,
    where: dict[str, Path],
    context: int,
    seed: int,
    device: torch.device,
    work: Path,
) -> Generator[Progress, None, NDArray[np.int64]]:
    """The class that a classifier of the real texts names for each drawn one."""
    folders = {"out": work / "classifier", "work": work / "classifying"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    yield from run_classification(discriminator, config, context=context, seed=seed, device=device, **where, **folders)
    classifier, _ = load_classifier(folders["out"])
    logits_DK = predict(classifier.to(device), list(ordered_batches(Shards.of(rows), EVAL_BATCH)))
    return logits_DK.argmax(axis=1)


def realness(judge: Any, config: ClassificationConfig, train: Shards, rows: Rows, seed: int) -> NDArray[np.float64]:
    """The log-odds `(D,)` that each drawn text is real, by a judge that learnt from half of the others."""
    start = {name: tensor.clone() for name, tensor in judge.state_dict().items()}
    steps = config.model_copy(update={"steps": min(config.steps, JUDGE_STEPS), "warmup_steps": 10})
    fold_D, found_D = np.arange(len(rows)) % FOLDS, np.zeros(len(rows))
    for fold in range(FOLDS):
        judge.load_state_dict(start)
        fakes = Shards.of([row for row, at in zip(rows, fold_D, strict=True) if at != fold])
        # As many real texts as drawn ones, so that the odds are even.
        real = train.only(np.resize(np.arange(len(train)), len(fakes)))
        is_real = np.repeat([1, 0], [len(real), len(fakes)])
        batches = BatchStream(real + fakes, config.batch_size, seed, bucket_batches=1)
        optimizers = {"classifier": adamw(judge, config.learning_rate, config.weight_decay)}
        for _ in learn(ClassifierState(judge, is_real, optimizers, batches), steps):
            pass
        mine = np.flatnonzero(fold_D == fold)
        logits = predict(judge, list(ordered_batches(Shards.of([rows[i] for i in mine]), EVAL_BATCH)))
        found_D[mine] = logits[:, 1] - logits[:, 0]
    return found_D


def most_real(
    real_D: NDArray[np.float64], label_D: NDArray[np.int64], wanted_K: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The texts of each class that are most real, as many as are wanted of it, in the order in which they came."""
    order = np.lexsort((-real_D, label_D))
    place = np.arange(len(order)) - np.searchsorted(label_D[order], label_D[order])
    return np.sort(order[place < wanted_K[label_D[order]]])


def _write(out: Path, rows: Sequence[list[int]], label_D: NDArray[np.int64], names: list[str], tokenizer: Tokenizer):
    writer, lengths_D = ShardWriter(out, "added", tokenizer.vocab_size), np.array([len(row) for row in rows], np.int64)
    flat = np.array([i for row in rows for i in row], np.int64)
    writer.append(flat, lengths_D, np.zeros_like(lengths_D))
    writer.close()
    np.save(out / "classes.npy", label_D)
    texts = {"text": [tokenizer.decode(row) for row in rows], "label": [names[k] for k in label_D]}
    pl.DataFrame(texts, schema={"text": pl.String, "label": pl.String}).write_parquet(out / "added.parquet")
