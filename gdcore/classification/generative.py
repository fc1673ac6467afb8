"""A generator that writes texts of every class, trained on labelled texts; as a classifier, from folder to folder.

Shapes: N texts of a split, K classes.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gdcore.batches import Batch, ordered_batches
from gdcore.classification.bayes import BayesClassifier, LabelledStream, build_bayes, under
from gdcore.classification.labels import classes
from gdcore.classification.training import Classes, ClassificationConfig, labelled_split, publish
from gdcore.progress import Progress
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer
from gdcore.training.checkpoint import TrainState, load_weights
from gdcore.training.loops import PretrainConfig, checkpointed, early_stopped, pretrain
from gdcore.training.phases import EVAL_BATCH, adamw, logged, require_batch, resume, stopped_early

Labelled = tuple[Shards, Classes]
"""Texts, and the class of each."""


def learn_to_write(
    classifier: BayesClassifier, config: PretrainConfig, train: Labelled, valid: Labelled, seed: int, work: Path
) -> Generator[Progress, None, TrainState]:
    """Maximum likelihood of texts given their classes, until held-out texts stop getting likelier.

    The best weights are kept; `work` survives a kill. The iterator's value is the training state at its end.
    """
    generator, first = classifier.generator, classifier.vocab_size
    stream = LabelledStream(*train, first, config.batch_size, seed)
    optimizers = {"generator": adamw(generator, config.learning_rate, config.weight_decay)}
    state = TrainState(generator, optimizers, stream)
    resume(state, work)
    told: list[Batch] = []
    for start, batch in zip(range(0, len(valid[0]), EVAL_BATCH), ordered_batches(valid[0], EVAL_BATCH), strict=True):
        told.append(under(batch, torch.from_numpy(valid[1][start : start + EVAL_BATCH] + first)))
    reports = early_stopped(pretrain(state, config), state, config, told, work)
    if not stopped_early(state, config):
        yield from logged(checkpointed(reports, state, work, config.checkpoint_every), config.steps, work)
    load_weights(generator, work / "best_generator.safetensors")
    return state


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
    """Train a generator on labelled texts and keep it as a classifier of their labels."""
    torch.manual_seed(seed)
    names = classes(corpus, validation)
    train, classes_N, num_left_out = labelled_split(tokens, validation, corpus, "train", names)
    valid, valid_classes_N, _ = labelled_split(tokens, validation, corpus, "valid", names)
    require_batch(train, config.batch_size, "classification.batch_size")
    vocab_size = Tokenizer.load(tokens).vocab_size
    counts_K = np.bincount(classes_N, minlength=len(names))
    classifier = build_bayes(architecture, vocab_size, context, counts_K).to(device)
    state = yield from learn_to_write(classifier, config, (train, classes_N), (valid, valid_classes_N), seed, work)
    about = {"by": "generator", "classifier": architecture.model_dump(mode="json")}
    about |= {"vocab_size": vocab_size, "context": context}
    summary = {
        "texts": len(train),
        "without_label": num_left_out,
        "steps": state.step,
        "best_step": state.memory["best_step"],
        "valid_text_nll": state.memory["best_nll"],
        "stopped": f"no better for {config.patience} looks" if state.step < config.steps else None,
    }
    held_out = list(ordered_batches(valid, EVAL_BATCH))
    publish(classifier, (held_out, valid_classes_N), names, about, summary, out, work)
