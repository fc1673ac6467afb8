"""The collapse guard: readings of a generator under adversarial training, and the limits at which to stop.

Readings are compared with the first, that of the pretrained generator, so the limits hold on any corpus.

Shapes: N sampled texts, K their tokens.
"""

import math
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from gdcore import ranks
from gdcore.batches import Batch, collate
from gdcore.decoding import Decoding
from gdcore.errors import Diverged
from gdcore.likelihood import held_out_nll
from gdcore.sampling import complete
from gdcore.settings import Settings
from gdcore.shards import Shards
from gdcore.tokenizer import EOS, PAD
from gdcore.training.checkpoint import TrainState, keep_weights
from gdcore.training.looks import Look, Report, looked, unseen_first
from gdcore.uniforms import row_seeds

Reading = dict[str, float]


class GuardConfig(Settings):
    """When adversarial training counts as collapsed."""

    every: int = Field(default=25, ge=1)
    """Turns between two readings."""
    num_samples: int = Field(default=500, ge=10)
    """Texts sampled, and held-out texts looked at, for a reading."""
    unique_drop: float = Field(default=0.1, ge=0, le=1)
    """Permitted fall of the share of texts that are not repeats, from the pretrained generator's."""
    coverage_drop: float = Field(default=0.4, ge=0, le=1)
    """Permitted relative fall of the number of distinct tokens in the samples."""
    entropy_drop: float = Field(default=0.7, ge=0)
    """Permitted fall, in nats, of the entropy of the samples' tokens."""
    nll_rise: float = Field(default=0.1, ge=0)
    """Permitted rise, in nats per token, of the held-out NLL."""
    max_accuracy: float = Field(default=0.98, gt=0.5, le=1)
    """When the discriminator ranks this share of pairs of held-out and generated texts rightly, it has won, and its
    gradient says nothing any more."""


class Guard:
    """Takes readings and judges them."""

    def __init__(self, config: GuardConfig, valid: Shards) -> None:
        self.config = config
        rows = np.unique(np.linspace(0, len(valid) - 1, min(config.num_samples, len(valid))).astype(int))
        self.real = [collate(valid, rows[start : start + 100]) for start in range(0, len(rows), 100)]

    def read(self, state: TrainState) -> Look[Reading]:
        """One reading; texts are drawn with the same seeds each time, so that readings differ by the model alone."""
        device = next(state.generator.parameters()).device
        fake: list[Batch] = []
        for number, batch in enumerate(self.real):
            fake.append(self._answer(state, batch.to(device), number))
            yield
        texts = [tuple(row[row != PAD].tolist()) for batch in fake for row in batch.tokens_BT]
        tokens_K = torch.cat([batch.tokens_BT[batch.target_BT] for batch in fake])
        share_V = torch.bincount(tokens_K[tokens_K != EOS]).double()
        share_V = share_V[share_V > 0] / share_V.sum()
        return {
            "unique": len(set(texts)) / len(texts),
            "coverage": float(len(share_V)),
            "entropy": float(-(share_V * share_V.log()).sum()),
            "length": len(tokens_K) / len(texts),
            "valid_nll": (yield from held_out_nll(state.generator, self.real)),
            "accuracy": self._accuracy(state, fake),
        }

    def alarm(self, reading: Reading, first: Reading) -> str | None:
        """Why this reading is a collapse, in words; None if it is healthy."""
        config = self.config  # valid_nll may be no number, which is no smaller than anything
        limits = [
            (reading["unique"] < first["unique"] - config.unique_drop, "unique", "texts repeat one another"),
            (reading["coverage"] < first["coverage"] * (1 - config.coverage_drop), "coverage", "few words are left"),
            (reading["entropy"] < first["entropy"] - config.entropy_drop, "entropy", "few words crowd out the others"),
            (
                not reading["valid_nll"] <= first["valid_nll"] + config.nll_rise,
                "valid_nll",
                "real text has become unlikely",
            ),
            (reading["accuracy"] > config.max_accuracy, "accuracy", "the discriminator is hardly ever wrong"),
        ]
        alarms = [
            f"{words} ({name} {reading[name]:.3g}, at first {first[name]:.3g})"
            for broken, name, words in limits
            if broken
        ]
        return "; ".join(alarms) or None

    def _answer(self, state: TrainState, real: Batch, number: int) -> Batch:
        given_BT = torch.where(real.mask_BT & ~real.target_BT, real.tokens_BT, PAD)
        return complete(
            state.generator,
            given_BT,
            real.prompt_lengths_B,
            max_tokens=state.generator.context,
            decoding=Decoding(),
            seeds_B=row_seeds(number, len(real)),
        )

    @torch.no_grad()
    def _accuracy(self, state: TrainState, fake: list[Batch]) -> float:
        """Share of the pairs of a held-out and a fresh generated text in which the real one gets the higher verdict.

        A rank, for a discriminator of pairs has no threshold: adding a constant to its verdicts changes nothing.
        """
        discriminator = state.discriminator
        assert discriminator is not None
        device = next(discriminator.parameters()).device
        discriminator.eval()
        real = torch.cat([discriminator(batch.tokens_BT, batch.mask_BT) for batch in (b.to(device) for b in self.real)])
        told = torch.cat([discriminator(batch.tokens_BT, batch.mask_BT) for batch in fake])
        discriminator.train()
        # Where texts answer prompts, those of one prompt: a discriminator of pairs says nothing about two.
        prompted = any(bool((batch.prompt_lengths_B > 1).any()) for batch in self.real)
        margins = real - told if prompted else real.unsqueeze(1) - told
        return float((margins > 0).float().mean() + (margins == 0).float().mean() / 2)


def guarded(
    reports: Iterator[Report], state: TrainState, guard: Guard, begins_at: int, ends_at: int, work: Path
) -> Generator[Report, None, None]:
    """Take a reading every so many turns and at the last; stop at an alarm, or where a loss is no longer a number.

    Up to turn `begins_at` the discriminator learns alone, and nothing can collapse; the first reading is of the
    generator as it was pretrained. What to fall back to lies in `work/best_*.safetensors`: the healthy weights with
    the lowest held-out NLL since, or those of the first reading where there are none. Raises Diverged before that.
    """
    memory = state.memory
    if begins_at == state.step == 0 and "first" not in memory:
        _keep(state, ranks.agreed((yield from looked(guard.read(state), state, {}))), work)
    try:
        for report in unseen_first(reports, state):
            played = state.step - begins_at
            if played == 0 or (played > 0 and (played % guard.config.every == 0 or state.step == ends_at)):
                reading = yield from looked(guard.read(state), state, report)
                reading = ranks.agreed(reading)  # of all alike, to the last digit
                report |= {f"guard_{name}": value for name, value in reading.items()}
                memory["alarm"] = guard.alarm(reading, memory["first"]) if played else None
                if memory["alarm"]:
                    report["alarm"] = memory["alarm"]
                    yield report
                    return
                _keep(state, reading, work)
            yield report
    except Diverged as error:
        if "first" not in memory:
            raise
        memory["alarm"] = str(error)
        yield {"step": state.step, "alarm": memory["alarm"]}


def _keep(state: TrainState, reading: Reading, work: Path) -> None:
    """Keep healthy weights if they are the first, or the best since; anything is better than the first."""
    memory = state.memory
    if "first" not in memory:
        memory |= {"first": reading, "best_nll": math.inf}
    elif reading["valid_nll"] >= memory["best_nll"]:
        return
    else:
        memory["best_nll"] = reading["valid_nll"]
    memory["best_step"] = state.step
    keep_weights(state.generator, work / "best_generator.safetensors")
    keep_weights(state.discriminator, work / "best_discriminator.safetensors")
