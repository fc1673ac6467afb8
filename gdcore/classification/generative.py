"""A generator that writes texts of every class, trained on labelled texts; as a classifier, from folder to folder.

Shapes: N texts of a split, K classes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gdcore.batches import Batch, ordered_batches
from gdcore.classification.bayes import BayesClassifier, LabelledStream, build_bayes, under
from gdcore.classification.labels import classes
from gdcore.classification.training import Classes, ClassificationConfig, early_stopped, labelled_split, publish
from gdcore.progress import Progress
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer
from gdcore.training import loops
from gdcore.training.checkpoint import TrainState, load_weights
from gdcore.training.loops import PretrainConfig, checkpointed, pretrain
from gdcore.training.phases import EVAL_BATCH, adamw, logged, require_batch, resume, stopped_early

LOOKED_AT = 300
"""Held-out texts that are classified while training, at most."""
Labelled = tuple[Shards, Classes]
"""Texts, and the class of each."""


def learn_to_write(
    classifier: BayesClassifier, config: PretrainConfig, train: Labelled, valid: Labelled, seed: int, work: Path
) -> Iterator[Progress]:
    """Maximum likelihood of texts given their classes, until held-out texts stop getting likelier.

    The best weights are kept; `work` survives a kill.
    """
    require_batch(train[0], config.batch_size, "pretrain.batch_size")
    state = _state(classifier, config, train, seed)
    resume(state, work)
    told: list[Batch] = []
    for start, batch in zip(range(0, len(valid[0]), EVAL_BATCH), ordered_batches(valid[0], EVAL_BATCH), strict=True):
        told.append(under(batch, torch.from_numpy(valid[1][start : start + EVAL_BATCH] + classifier.vocab_size)))
    reports = loops.early_stopped(pretrain(state, config), state, config, told, work)
    if not stopped_early(state, config):
        yield from logged(checkpointed(reports, state, work, config.checkpoint_every), config.steps, work)
    load_weights(classifier.generator, work / "best_generator.safetensors")


def _state(classifier: BayesClassifier, config: PretrainConfig, train: Labelled, seed: int) -> TrainState:
    stream = LabelledStream(*train, classifier.vocab_size, config.batch_size, seed)
    optimizers = {"generator": adamw(classifier.generator, config.learning_rate, config.weight_decay)}
    return TrainState(classifier.generator, optimizers, stream)


def run_generative(
    architecture: Any,
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
    """Train a generator on labelled texts and keep it as a classifier of their labels.

    Kept is what tells most held-out texts, as with any classifier: it goes on getting better at that when the texts
    themselves no longer get likelier. Every look scores each text under every class, and so is at a part of them.
    """
    torch.manual_seed(seed)
    names = classes(corpus, validation)
    train, classes_N, num_left_out = labelled_split(tokens, validation, corpus, "train", names)
    valid, valid_classes_N, _ = labelled_split(tokens, validation, corpus, "valid", names)
    require_batch(train, config.batch_size, "classification.batch_size")
    vocab_size = Tokenizer.load(tokens).vocab_size
    counts_K = np.bincount(classes_N, minlength=len(names))
    classifier = build_bayes(architecture, vocab_size, context, counts_K).to(device)
    state = _state(classifier, config, (train, classes_N), seed)
    resume(state, work)
    some = np.unique(np.linspace(0, len(valid) - 1, LOOKED_AT).astype(np.int64))
    looked_at = list(ordered_batches(valid.only(some), EVAL_BATCH)), valid_classes_N[some]
    reports = early_stopped(pretrain(state, config), state, classifier, config, looked_at, work)
    if not stopped_early(state, config):
        yield from logged(checkpointed(reports, state, work, config.checkpoint_every), config.steps, work)
    load_weights(classifier, work / "best_classifier.safetensors")
    about = {"by": "generator", "classifier": architecture.model_dump(mode="json")}
    about |= {"vocab_size": vocab_size, "context": context}
    summary = {
        "texts": len(train),
        "without_label": num_left_out,
        "steps": state.step,
        "best_step": state.memory["best_step"],
        "stopped": f"no better for {config.patience} looks" if state.step < config.steps else None,
    }
    held_out = list(ordered_batches(valid, EVAL_BATCH))
    publish(classifier, (held_out, valid_classes_N), names, about, summary, out, work)
