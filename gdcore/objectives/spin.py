"""SPIN: self-play; the generator learns to prefer real texts to those of its own past self.

Chen et al. 2024 (arXiv 2401.01335), eq. 4.7: −log σ(β [(log G(x) − log G_old(x)) − (log G(y) − log G_old(y))]), x real
and y drawn from G_old. Every `iteration` turns the past self is brought up to date. Departures: log-likelihoods are per
token, for a sum would compare lengths before anything else, and β is larger for it; a likelihood term keeps real text
likely, since the margin alone can grow while both sides fall.

The discriminator takes no part: it learns by cross-entropy for the collapse guard, the report and the bundle.

Shapes: B texts, T tokens.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.adversarial.policy import policy_logprobs
from gdcore.adversarial.snapshot import Snapshot
from gdcore.adversarial.verdicts import cross_entropy
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import logprobs, nll
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["spin"] = "spin"
    beta: float = Field(default=2.0, gt=0)
    """How far a margin must go before it counts as won, in units of one over nats per token."""
    mle_weight: float = Field(default=1.0, ge=0)
    """Weight of the likelihood of real text."""
    iteration: int = Field(default=100, ge=1)
    """Turns after which the past self is brought up to date."""


class Objective(nn.Module):
    """Generator against its past self."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save
        self.past = Snapshot(generator)

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        if step > 0 and step % self.config.iteration == 0:
            self.past.follow(generator)
        fake = complete_batch(self.past.model, batch)
        margin_B = self._gains(batch) - self._gains(fake)
        real_nll = nll(generator, batch)
        loss = nn.functional.softplus(-self.config.beta * margin_B).mean() + self.config.mle_weight * real_nll
        return loss, {"reward": margin_B.mean(), "nll": real_nll}

    def _gains(self, batch: Batch) -> Tensor:
        """By how much each text's log-likelihood per token `(B,)` exceeds the past self's."""
        generator, _ = self.players
        own_BT = policy_logprobs(generator, batch)
        with torch.no_grad():
            past_BT = logprobs(self.past.model, batch)
        return (own_BT - past_BT).sum(dim=1) / batch.target_BT.sum(dim=1)

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """The onlooking discriminator's cross-entropy."""
        generator, discriminator = self.players
        return cross_entropy(discriminator, batch, complete_batch(generator, batch))
