"""The two loops, one screen each: maximum likelihood, then the adversarial alternation.

A loop yields a report a step; whatever else should happen (checkpoints, early stop, the collapse guard) wraps the
iterator and leaves the loop alone: `checkpointed(guarded(finetune(…)))`.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from gdcore import ranks
from gdcore.batches import Batch
from gdcore.contracts import Loss, Objective
from gdcore.errors import Diverged
from gdcore.likelihood import held_out_nll, pretraining_loss
from gdcore.settings import Settings
from gdcore.training.checkpoint import Resumable, TrainState, keep_weights, save_state
from gdcore.training.guard import GuardConfig
from gdcore.training.looks import Report, looked, unseen_first

Precision = Literal["auto", "float32", "bfloat16"]


class PretrainConfig(Settings):
    """Maximum likelihood."""

    warm_start: bool = False
    """Begin with the champion's vocabulary and weights where there is a champion of this model, not by chance. A night
    whose text the champion has learnt already goes on from where the champion itself did, and so is reused."""
    steps: int = Field(default=3000, ge=1)
    """Batches to learn from, at most; the learning rate has decayed when they are used up."""
    batch_size: int = Field(default=64, ge=1)
    """Texts a step."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Highest learning rate of AdamW."""
    warmup_steps: int = Field(default=100, ge=0)
    """Steps over which the learning rate rises to its highest; then it falls along a cosine to zero."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled weight decay."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    precision: Precision = "auto"
    """Arithmetic of the products; `auto` is bfloat16 where the processor has units for it, else float32."""
    eval_every: int = Field(default=200, ge=1)
    """Steps between two looks at held-out text."""
    patience: int = Field(default=5, ge=1)
    """Stop after this many looks without a better held-out NLL; the best weights are kept."""
    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between two checkpoints: what a kill can cost."""


class FinetuneConfig(Settings):
    """The adversarial alternation."""

    steps: int = Field(default=200, ge=0)
    """Turns of the loop; 0 leaves the pretrained generator as it is."""
    warmup_steps: int = Field(default=100, ge=0)
    """Turns before them in which the discriminator learns alone."""
    generator_steps: int = Field(default=1, ge=0)
    """Updates of the generator a turn."""
    discriminator_steps: int = Field(default=1, ge=0)
    """Updates of the discriminator a turn."""
    batch_size: int = Field(default=64, ge=2)
    """Real texts, and generated ones, an update."""
    generator_learning_rate: float = Field(default=1e-4, gt=0)
    """AdamW's learning rate for the generator, constant."""
    discriminator_learning_rate: float = Field(default=1e-3, gt=0)
    """AdamW's learning rate for the discriminator, constant."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's decoupled weight decay, for both."""
    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    precision: Precision = "auto"
    """As in `pretrain`."""
    guard: GuardConfig = GuardConfig()
    """When to call it a collapse."""
    checkpoint_every: int = Field(default=25, ge=1)
    """Turns between two checkpoints: what a kill can cost."""


def pretrain(state: TrainState, config: PretrainConfig) -> Iterator[Report]:
    """Maximum likelihood on real tokens; yields `step`, `generator_nll` (nats per token), `learning_rate`."""
    mean_targets = state.batches.mean_targets

    def loss(batch: Batch, step: int) -> Loss:
        # A batch holds texts of like length. Averaged by itself, it would give a token of a short text more weight than
        # one of a long text, and the generator would learn to stop too soon.
        token_loss, logs = pretraining_loss(state.generator, batch, step)
        return token_loss * ranks.total(batch.target_BT.sum()) / mean_targets, logs

    state.generator.train()
    while state.step < config.steps:
        report: Report = {"step": state.step + 1, "learning_rate": learning_rate(config, state.step)}
        for group in state.optimizers["generator"].param_groups:
            group["lr"] = report["learning_rate"]
        report |= update("generator", state, config, loss, state.step)
        state.step += 1
        yield report


def finetune(state: TrainState, objective: Objective, config: FinetuneConfig) -> Iterator[Report]:
    """The discriminator learns to tell, at first alone, the generator to pass; yields `step` and what they log.

    An objective is told the generator's turn, counted from 0: what it schedules begins with the play.
    """
    state.generator.train()
    objective.train()
    while state.step < config.warmup_steps + config.steps:
        report: Report = {"step": state.step + 1}
        turn, alone = max(0, state.step - config.warmup_steps), state.step < config.warmup_steps
        for _ in range(config.discriminator_steps):
            report |= update("discriminator", state, config, objective.discriminator_loss, turn)
        for _ in range(0 if alone else config.generator_steps):
            report |= update("generator", state, config, objective.generator_loss, turn)
        state.step += 1
        yield report


def update(
    player: str,
    state: TrainState,
    config: PretrainConfig | FinetuneConfig,
    loss_of: Callable[[Batch, int], Loss],
    turn: int,
) -> Report:
    """One step of one player's optimiser on the next batch; returns what was logged, each name led by the player's."""
    device = next(state.generator.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(config.precision, device)):
        loss, logs = loss_of(next(state.batches).to(device), turn)
    return descend(player, state.optimizers[player], config.clip_norm, state.step, loss, logs)


def descend(
    player: str, optimizer: torch.optim.Optimizer, clip_norm: float, step: int, loss: Tensor, logs: dict[str, Tensor]
) -> Report:
    """One step down a loss; returns it with what was logged, each name led by the player's. Raises Diverged."""
    told = ranks.average(torch.stack([loss.detach().float(), *(value.detach().float() for value in logs.values())]))
    if not torch.isfinite(told[0]):
        raise Diverged(f"the {player}'s loss is {told[0].item()} at step {step}: lower its learning rate")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    ranks.average_gradients(parameters)
    norm = ranks.whole(torch.nn.utils.clip_grad_norm_(parameters, clip_norm))
    optimizer.step()
    named = zip(("loss", "gradient_norm", *logs), [told[0], norm, *told[1:]], strict=True)
    return {f"{player}_{name}": value.item() for name, value in named}


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to zero at the last step."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether products are computed in bfloat16; `auto` asks if this machine multiplies such matrices faster."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]


def checkpointed(
    reports: Generator[Report, None, None], state: Resumable, work: Path, every: int
) -> Generator[Report, None, None]:
    """Save the whole state every so many steps, so that a killed run loses no more than those; and when closed.

    A report is handed on first: had it not been logged yet when a kill comes, the next process would begin behind it,
    and the log would lack it for ever.
    """
    for report in reports:
        try:
            yield report
        except GeneratorExit:  # told to stop, between two steps or within a look, which then undoes what it drew
            reports.close()
            save_state(state, work)
            raise
        if state.step % every == 0 and "looking" not in report:
            save_state(state, work)


def early_stopped(
    reports: Iterator[Report], state: TrainState, config: PretrainConfig, valid: Sequence[Batch], work: Path
) -> Generator[Report, None, None]:
    """Look at held-out text every so many steps and at the last; stop when it has not improved for `patience` looks.

    The best weights lie in `work/best_generator.safetensors`.
    """
    memory = state.memory
    for report in unseen_first(reports, state):
        if state.step % config.eval_every == 0 or state.step == config.steps:
            report["valid_nll"] = yield from looked(held_out_nll(state.generator, valid), state, report)
            if report["valid_nll"] < memory.get("best_nll", math.inf):
                memory |= {"best_nll": report["valid_nll"], "best_step": state.step, "worse": 0}
                keep_weights(state.generator, work / "best_generator.safetensors")
            else:
                memory["worse"] += 1
            if memory["worse"] >= config.patience:
                yield report
                return
        yield report
