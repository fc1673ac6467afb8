"""A discriminator's architecture as a plain classifier: trained on labelled texts, from folder to folder.

Shapes: B texts, N texts of a split, K classes.
"""

import math
import shutil
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch.optim import Optimizer

from gdcore.adversarial.verdicts import loss_of
from gdcore.batches import Batch, BatchStream, collate, ordered_batches
from gdcore.classification.bayes import build_bayes
from gdcore.classification.labels import UNKNOWN, class_ids, classes, labels
from gdcore.contracts import Discriminator
from gdcore.errors import UserError
from gdcore.progress import Progress
from gdcore.settings import Settings
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer
from gdcore.training.checkpoint import (
    Resumable,
    build_discriminator,
    load_weights,
    plugin_config,
    read_about,
    save_weights,
)
from gdcore.training.loops import PretrainConfig, Report, checkpointed, descend, learning_rate, uses_bfloat16
from gdcore.training.phases import (
    EVAL_BATCH,
    adamw,
    logged,
    open_split,
    require_batch,
    resume,
    stopped_early,
    write_json,
)

Classes = NDArray[np.int64]
Logits = NDArray[np.float64]


class AugmentationConfig(Settings):
    """Texts that are made to be learnt from beside the real ones."""

    how: Literal["none", "words", "generator"] = "none"
    """`words`: the real texts, some words dropped and some swapped. `generator`: texts of a generator that learnt to
    write each class (by the settings `generator` and `pretrain`), of which those are kept that a classifier of the real
    texts takes for their class and a discriminator for most real."""
    times: float = Field(default=1.0, gt=0)
    """Texts added for each real one, at most."""
    strength: float = Field(default=0.1, ge=0, le=1)
    """`words`: the share of a text's words that are dropped, and of those that change places."""
    candidates: int = Field(default=6, ge=1)
    """`generator`: texts drawn for each one that may be kept."""
    agreement: bool = True
    """`generator`: keep only what the classifier takes for its class."""
    realness: bool = True
    """`generator`: of what is left keep what the discriminator finds most real; otherwise any."""


class ClassificationConfig(PretrainConfig):
    """How a classifier learns; `gdflow classify` alone reads it."""

    by: Literal["discriminator", "generator"] = "discriminator"
    """What names the class: the `discriminator`'s architecture, trained to tell classes apart; or by Bayes' rule the
    `generator`'s, trained to write texts of every class and asked under which class a text is the likeliest."""

    steps: int = Field(default=3000, ge=1)
    """Batches to learn from, at most; the learning rate has decayed when they are used up."""
    patience: int = Field(default=5, ge=1)
    """Stop after this many looks at held-out texts without a better accuracy; the best weights are kept."""
    augment: AugmentationConfig = AugmentationConfig()
    """Made-up texts to learn from, for a `discriminator` that has few real ones."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.by == "generator" and self.augment.how != "none":
            raise ValueError("a generator that classifies learns from real texts alone: leave augment.how at none")
        return self


@dataclass
class ClassifierState:
    """Everything that a step reads and writes."""

    classifier: Discriminator
    classes_N: Classes
    """Of the texts in `batches`."""
    optimizers: Mapping[str, Optimizer]
    batches: BatchStream
    step: int = 0
    memory: dict[str, Any] = field(default_factory=dict[str, Any])

    def modules(self) -> dict[str, Any]:
        return {"classifier": self.classifier}


def learn(state: ClassifierState, config: ClassificationConfig) -> Iterator[Report]:
    """Minimise the classifier's loss on labelled texts; yields `step`, `classifier_loss`, `classifier_accuracy` …"""
    device = next(state.classifier.parameters()).device
    (optimizer,) = state.optimizers.values()
    state.classifier.train()
    while state.step < config.steps:
        report: Report = {"step": state.step + 1, "learning_rate": learning_rate(config, state.step)}
        for group in optimizer.param_groups:
            group["lr"] = report["learning_rate"]
        rows = state.batches.next_rows()
        batch, classes_B = collate(state.batches.shards, rows).to(device), torch.from_numpy(state.classes_N[rows])
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(config.precision, device)):
            logits_BK = state.classifier(batch.tokens_BT, batch.mask_BT)
            loss = loss_of(state.classifier, logits_BK, classes_B.to(device))
        logs = {"accuracy": (logits_BK.argmax(dim=1) == classes_B.to(device)).float().mean()}
        report |= descend("classifier", optimizer, config.clip_norm, state.step, loss, logs)
        state.step += 1
        yield report


@torch.no_grad()
def predict(classifier: Discriminator, batches: Sequence[Batch]) -> Logits:
    """Logits `(N,K)`, without dropout; the classifier goes on in the mode that it was in."""
    training = classifier.training
    classifier.eval()
    device = next(classifier.parameters()).device
    moved = (batch.to(device) for batch in batches)
    logits = [classifier(batch.tokens_BT, batch.mask_BT).double().cpu() for batch in moved]
    classifier.train(training)
    return torch.cat(logits).numpy()


def early_stopped(
    reports: Iterator[Report],
    state: Resumable,
    classifier: Discriminator,
    config: ClassificationConfig,
    valid: tuple[Sequence[Batch], Classes],
    work: Path,
) -> Generator[Report, None, None]:
    """Look at held-out texts every so many steps and at the last; stop when no look in `patience` was better.

    Better is more texts right; of as many, a lower NLL. The best weights lie in `work/best_classifier.safetensors`.
    """
    memory, (batches, classes_N) = state.memory, valid
    for report in reports:
        if state.step % config.eval_every == 0 or state.step == config.steps:
            logits_NK = predict(classifier, batches)
            accuracy = float((logits_NK.argmax(axis=1) == classes_N).mean())
            nll = mean_nll(logits_NK, classes_N)
            report |= {"valid_accuracy": accuracy, "valid_nll": nll}
            if (accuracy, -nll) > (memory.get("best_accuracy", -1.0), -memory.get("best_nll", math.inf)):
                memory |= {"best_accuracy": accuracy, "best_nll": nll, "best_step": state.step, "worse": 0}
                save_weights(classifier, work / "best_classifier.safetensors")
            else:
                memory["worse"] += 1
            if memory["worse"] >= config.patience:
                yield report
                return
        yield report


def mean_nll(logits_NK: Logits, classes_N: Classes, temperature: float = 1.0) -> float:
    """−log P(class), in nats, averaged over texts."""
    logits_NK = logits_NK / temperature
    top_N = logits_NK.max(axis=1)
    chosen_N = logits_NK[np.arange(len(classes_N)), classes_N]
    return float((np.log(np.exp(logits_NK - top_N[:, None]).sum(axis=1)) + top_N - chosen_N).mean())


def fit_temperature(logits_NK: Logits, classes_N: Classes) -> float:
    """The number by which logits are divided for the probabilities to mean what they say (Guo et al. 2017, §4.2).

    It minimises the held-out NLL, which is convex in 1/temperature: by golden sections between e⁻⁷ and e⁷.
    """
    low, high, golden = -7.0, 7.0, (math.sqrt(5) - 1) / 2
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        better = mean_nll(logits_NK, classes_N, math.exp(left)) < mean_nll(logits_NK, classes_N, math.exp(right))
        low, high = (low, right) if better else (left, high)
    return math.exp((low + high) / 2)


def labelled_split(
    tokens: Path, validation: Path, corpus: Path, split: str, names: list[str]
) -> tuple[Shards, Classes, int]:
    """The texts of a split whose class is known, their classes, and how many texts are left out.

    Raises UserError when none is left.
    """
    classes_N = class_ids(labels(corpus, validation, split), names)
    known = np.flatnonzero(classes_N != UNKNOWN)
    if not len(known):
        raise UserError(
            f"no text of the {split} split has a label that the train split knows; label some of each split"
        )
    return open_split(tokens, validation, split).only(known), classes_N[known], len(classes_N) - len(known)


def open_added(augmentation: Path) -> tuple[Shards, Classes]:
    """The texts that an augmentation made up, and the class of each."""
    return Shards.open(augmentation, "added"), np.load(augmentation / "classes.npy")


def run_classification(
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
    augmentation: Path | None = None,
) -> Iterator[Progress]:
    """Train a classifier and keep the weights with the highest held-out accuracy; `work` survives a kill.

    Made-up texts of an `augmentation` (`gdcore.classification.augmentation`) are learnt from as the real ones are.
    """
    torch.manual_seed(seed)
    names = classes(corpus, validation)
    train, classes_N, num_left_out = labelled_split(tokens, validation, corpus, "train", names)
    valid, valid_classes_N, _ = labelled_split(tokens, validation, corpus, "valid", names)
    num_real = len(train)
    if augmentation:
        added, added_classes_N = open_added(augmentation)
        train, classes_N = train + added, np.concatenate([classes_N, added_classes_N])
    require_batch(train, config.batch_size, "classification.batch_size")
    vocab_size = Tokenizer.load(tokens).vocab_size
    classifier = build_discriminator(architecture, vocab_size, len(names)).to(device)
    optimizers = {"classifier": adamw(classifier, config.learning_rate, config.weight_decay)}
    state = ClassifierState(classifier, classes_N, optimizers, BatchStream(train, config.batch_size, seed))

    resume(state, work)
    held_out = list(ordered_batches(valid, EVAL_BATCH))
    reports = early_stopped(learn(state, config), state, classifier, config, (held_out, valid_classes_N), work)
    if not stopped_early(state, config):
        yield from logged(checkpointed(reports, state, work, config.checkpoint_every), config.steps, work)

    load_weights(classifier, work / "best_classifier.safetensors")
    about = {"by": "discriminator", "classifier": architecture.model_dump(mode="json")}
    about |= {"vocab_size": vocab_size, "context": context}
    summary = {
        "texts": num_real,
        "made_up": len(train) - num_real,
        "without_label": num_left_out,
        "steps": state.step,
        "best_step": state.memory["best_step"],
        "stopped": f"no better for {config.patience} looks" if state.step < config.steps else None,
    }
    publish(classifier, (held_out, valid_classes_N), names, about, summary, out, work)


def publish(
    classifier: Discriminator,
    valid: tuple[Sequence[Batch], Classes],
    names: list[str],
    about: dict[str, Any],
    summary: dict[str, Any],
    out: Path,
    work: Path,
) -> None:
    """Write the weights, what they are weights of, the temperature that held-out texts ask for, and the log."""
    save_weights(classifier, out / "classifier.safetensors")
    logits_NK, classes_N = predict(classifier, valid[0]), valid[1]
    temperature = fit_temperature(logits_NK, classes_N)
    write_json(out / "config.json", {**about, "classes": names, "temperature": temperature})
    shutil.copyfile(work / "metrics.jsonl", out / "metrics.jsonl")
    found = {
        "valid_accuracy": float((logits_NK.argmax(axis=1) == classes_N).mean()),
        "valid_nll": mean_nll(logits_NK, classes_N),
        "temperature": temperature,
    }
    write_json(out / "summary.json", {"classes": len(names), **summary, **found})


def load_classifier(directory: Path) -> tuple[Discriminator, dict[str, Any]]:
    """The classifier of a classification artifact, in evaluation mode, and what its `config.json` says."""
    about = read_about(directory)
    if about["by"] == "generator":
        config = plugin_config("generators", about["classifier"])
        classifier = build_bayes(config, about["vocab_size"], about["context"], np.ones(len(about["classes"])))
    else:
        architecture = plugin_config("discriminators", about["classifier"])
        classifier = build_discriminator(architecture, about["vocab_size"], len(about["classes"]))
    load_weights(classifier, directory / "classifier.safetensors")
    return classifier.eval(), about
