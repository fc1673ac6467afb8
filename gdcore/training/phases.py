"""Pretraining and finetuning from folder to folder: what a stage wraps round the loops of `gdcore.training.loops`.

`work` survives a kill, and the next call goes on from its newest checkpoint; `out` is written at the end, from the
weights that were best.
"""

import json
import math
import shutil
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from gdcore import plugins, ranks
from gdcore.batches import BatchStream, collate, ordered_batches
from gdcore.contracts import Module
from gdcore.durable import replace
from gdcore.errors import UserError
from gdcore.networks import latent
from gdcore.networks.reconstruction import study
from gdcore.progress import Progress
from gdcore.shards import Shards
from gdcore.tokenizer import Tokenizer
from gdcore.training.checkpoint import (
    Resumable,
    TrainState,
    build_discriminator,
    build_generator,
    inherit_weights,
    load_generator,
    load_state,
    load_weights,
    save_weights,
)
from gdcore.training.guard import Guard, guarded
from gdcore.training.loops import (
    FinetuneConfig,
    PretrainConfig,
    Report,
    checkpointed,
    early_stopped,
    finetune,
    pretrain,
)

LOOKS = ("valid_", "guard_")
"""What the figures begin with that are taken at an evaluation, or by the guard."""
EVAL_BATCH = 64
"""Texts a batch when nothing is learnt: few enough that their logits stay small."""


def run_pretraining(
    generator_config: Any,
    config: PretrainConfig,
    *,
    context: int,
    seed: int,
    device: torch.device,
    tokens: Path,
    validation: Path,
    out: Path,
    work: Path,
    ancestor: Path | None = None,
    sharded: bool = False,
) -> Iterator[Progress]:
    """Train a generator by maximum likelihood and keep the weights with the lowest held-out NLL.

    It begins with the weights in the folder `ancestor`, whose vocabulary begins as this one does, or by chance. With
    `sharded` each of several processes holds a part of the model.
    """
    torch.manual_seed(seed)
    train, valid = open_split(tokens, validation, "train"), open_split(tokens, validation, "valid")
    require_batch(train, config.batch_size, "pretrain.batch_size")
    vocab_size = Tokenizer.load(tokens).vocab_size
    generator = build_generator(generator_config, vocab_size, context)
    if ancestor:
        inherit_weights(generator, ancestor / "generator.safetensors")
    generator.to(device)
    if sharded:
        ranks.shard(cast(torch.nn.Module, generator))
    optimizers = {"generator": adamw(generator, config.learning_rate, config.weight_decay)}
    state = TrainState(generator, optimizers, BatchStream(train, config.batch_size, seed))

    resume(state, work)
    held_out = [collate(valid, rows_B) for rows_B in shared_rows(len(valid))]
    reports = early_stopped(pretrain(state, config), state, config, held_out, work)
    if not stopped_early(state, config):
        yield from logged(checkpointed(reports, state, work, config.checkpoint_every), config.steps, work)

    if not ranks.leads():
        return
    if sharded:
        state.generator = generator = build_generator(generator_config, vocab_size, context)
    load_weights(generator, work / "best_generator.safetensors")
    built = generator.config.model_dump(mode="json")  # sizes that were read from a user's folder included
    publish(state, out, work, {"generator": built, "vocab_size": vocab_size, "context": context})
    summary: dict[str, Any] = {
        "steps": state.step,
        "best_step": state.memory["best_step"],
        "valid_nll": state.memory["best_nll"],
        "stopped": f"no better for {config.patience} looks" if state.step < config.steps else None,
    }
    if latent.noise_dim(generator):
        found = study(generator, ordered_batches(valid, EVAL_BATCH), Tokenizer.load(tokens))
        write_json(out / "latent.json", found)
        summary |= {name: found[name] for name in ("latent_dim", "active_units", "kl", "kept")}
        summary["valid_nll_is"] = "an upper bound, from the encoder's posterior"
    write_json(out / "summary.json", summary)


def run_finetuning(
    discriminator_config: Any,
    objective_config: Any,
    config: FinetuneConfig,
    *,
    seed: int,
    device: torch.device,
    tokens: Path,
    validation: Path,
    pretraining: Path,
    out: Path,
    work: Path,
) -> Iterator[Progress]:
    """Train the pretrained generator against a discriminator; fall back to the best weights if the guard stops it."""
    torch.manual_seed(seed)
    train, valid = open_split(tokens, validation, "train"), open_split(tokens, validation, "valid")
    require_batch(train, config.batch_size, "finetune.batch_size")
    generator = load_generator(pretraining).to(device)
    discriminator = build_discriminator(discriminator_config, generator.vocab_size).to(device)
    objective = plugins.load("objectives", objective_config.name).Objective(objective_config, generator, discriminator)
    objective.to(device)
    optimizers = {
        "generator": adamw(generator, config.generator_learning_rate, config.weight_decay),
        # What an objective owns and trains, as a mediator, learns with the discriminator.
        "discriminator": adamw(
            torch.nn.ModuleList([discriminator, objective]), config.discriminator_learning_rate, config.weight_decay
        ),
    }
    batches = BatchStream(train, config.batch_size, seed, bucket_batches=1)
    state = TrainState(generator, optimizers, batches, discriminator, objective)

    resume(state, work)
    begins, ends = config.warmup_steps, config.warmup_steps + config.steps
    reports = guarded(finetune(state, objective, config), state, Guard(config.guard, valid), begins, ends, work)
    if not state.memory.get("alarm"):
        yield from logged(checkpointed(reports, state, work, config.checkpoint_every), ends, work)

    alarm = state.memory.get("alarm")
    if alarm:
        load_weights(generator, work / "best_generator.safetensors")
        load_weights(discriminator, work / "best_discriminator.safetensors")
    if not ranks.leads():
        return
    about = json.loads((pretraining / "config.json").read_text())
    players = {"discriminator": discriminator_config.model_dump(), "objective": objective_config.model_dump()}
    publish(state, out, work, about | players)
    write_json(
        out / "summary.json",
        {
            "steps": max(0, state.step - begins),
            "chosen_step": (state.memory["best_step"] if alarm else state.step) - begins,
            "stopped": alarm,
            "guard": config.guard.model_dump(),
        },
    )


def shared_rows(num: int) -> Iterator[np.ndarray]:
    """This process's of so many rows, some at a time; as many times in every process."""
    for block in np.array_split(np.arange(num), math.ceil(num / (EVAL_BATCH * ranks.size()))):
        yield ranks.share(block)


def open_split(tokens: Path, validation: Path, split: str) -> Shards:
    """The rows of a split that validation let through."""
    return Shards.open(tokens, split, np.load(validation / f"kept_{split}.npy"))


def require_batch(shards: Shards, batch_size: int, key: str) -> None:
    if len(shards) < batch_size:
        raise UserError(
            f"the train split holds {len(shards)} texts, fewer than one batch: {key} is {batch_size}. "
            f"Give more text, or set {key} to {max(len(shards), 1)} or less."
        )
    if batch_size % ranks.size():
        raise UserError(f"{key} is {batch_size}, which {ranks.size()} processes cannot share: give a multiple of it")


def adamw(module: Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay, fused=True)


def resume(state: Resumable, work: Path) -> None:
    """Go on from the newest checkpoint of `work`; its log loses the lines that a kill left beyond that."""
    load_state(state, work)
    path = work / "metrics.jsonl"
    if not ranks.leads() or not path.exists():
        return
    alarmed = bool(state.memory.get("alarm"))

    def known(line: str) -> bool:
        report = json.loads(line) if line.endswith("\n") else {"step": math.inf}  # half a line
        return report["step"] <= state.step and (alarmed or "alarm" not in report)

    replace(path, "".join(filter(known, path.read_text("utf-8").splitlines(keepends=True))))


def stopped_early(state: Resumable, config: PretrainConfig) -> bool:
    return state.memory.get("worse", 0) >= config.patience


def logged(reports: Generator[Report, None, None], total: int, work: Path) -> Iterator[Progress]:
    """Append each report to `work/metrics.jsonl`, and yield how far it is and the figures worth showing."""
    shown: Report = {}
    with closing(reports), (work / "metrics.jsonl").open("a") as file:
        for report in reports:
            if ranks.leads() and "looking" not in report:
                file.write(json.dumps(report) + "\n")
                file.flush()
            shown |= report
            looked = any(name.startswith(LOOKS) for name in report)
            yield Progress(report["step"], total, describe(shown), figures(shown) if looked else None)


def figures(report: Report) -> dict[str, float]:
    """What can be read off a report."""
    return {name: value for name, value in report.items() if isinstance(value, int | float)}


def describe(report: Report) -> str:
    """The latest figures in a few words."""
    names = {
        "generator_nll": "training NLL",
        "valid_nll": "held-out NLL",
        "guard_valid_nll": "held-out NLL",
        "generator_reward": "reward",
        "discriminator_accuracy": "D accuracy",
        "guard_unique": "unique",
        "classifier_loss": "loss",
        "valid_accuracy": "held-out accuracy",
    }
    words = [f"{label} {report[name]:.3f}" for name, label in names.items() if name in report]
    return " · ".join([*words, *([f"stopped: {report['alarm']}"] if "alarm" in report else [])])


def publish(state: TrainState, out: Path, work: Path, about: dict[str, Any]) -> None:
    """Write what later stages read: the weights, what they are weights of, and the log."""
    save_weights(state.generator, out / "generator.safetensors")
    if state.discriminator is not None:
        save_weights(state.discriminator, out / "discriminator.safetensors")
    write_json(out / "config.json", about)
    shutil.copyfile(work / "metrics.jsonl", out / "metrics.jsonl")


def write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
