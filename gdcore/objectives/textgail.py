"""TextGAIL: proximal policy optimisation on a contrastive discriminator, with human demonstrations among the texts.

Wu, Li & Yu 2021 (arXiv 2004.13796), §3: a discriminator of pairs rewards y by σ(D(y) − D(x)); the policy maximises
PPO's clipped surrogate min(ρA, clip(ρ, 1 ± ε)A), ρ = G/G_old per token; a share of the texts are real ones with a
constant reward that fades. Departures: where the paper keeps a buffer of texts for several epochs, G_old is a snapshot
that is brought up to date every `reuse` turns and draws afresh each time, so nothing but weights has to be saved.

Shapes: B texts, T tokens.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore import ranks
from gdcore.adversarial.policy import policy_logprobs, whiten
from gdcore.adversarial.snapshot import Snapshot
from gdcore.adversarial.verdicts import contrast, verdicts
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import logprobs
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["textgail"] = "textgail"
    clip: float = Field(default=0.2, gt=0, lt=1)
    """How far the likelihood ratio of a token may move before it stops to pay."""
    reuse: int = Field(default=4, ge=1)
    """Turns between two updates of the old policy."""
    demonstrations: float = Field(default=0.3, ge=0, le=1)
    """Share of real texts in what the policy learns from."""
    demonstration_reward: float = Field(default=2.0, ge=0)
    """Advantage of a real text at first, in standard deviations of the generated ones' reward."""
    demonstration_steps: int = Field(default=1000, ge=1)
    """Turns over which that advantage fades to 0."""


class Objective(nn.Module):
    """Generator against a discriminator of pairs, by PPO."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save
        self.old = Snapshot(generator)

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        if step % self.config.reuse == 0:
            self.old.follow(generator)
        fake = complete_batch(self.old.model, batch)
        rewards_B = self.rewards(batch, fake)
        fading = max(0.0, 1 - step / self.config.demonstration_steps)
        shown_B = torch.full_like(rewards_B, self.config.demonstration_reward * fading)
        share = self.config.demonstrations
        surrogate = (1 - share) * self._surrogate(fake, whiten(rewards_B - ranks.average(rewards_B.mean())))
        surrogate = surrogate + share * self._surrogate(batch, shown_B)
        return -surrogate, {"reward": rewards_B.mean()}

    def rewards(self, real: Batch, fake: Batch) -> Tensor:
        """σ(D(y) − D(x)) `(B,)`, text by text."""
        _, discriminator = self.players
        return torch.sigmoid(verdicts(discriminator, fake) - verdicts(discriminator, real))

    def _surrogate(self, texts: Batch, advantages_B: Tensor) -> Tensor:
        generator, _ = self.players
        with torch.no_grad():
            old_BT = logprobs(self.old.model, texts)
        ratio_BT = (policy_logprobs(generator, texts) - old_BT).exp()
        gain_BT = clipped(ratio_BT, advantages_B.unsqueeze(1), self.config.clip)
        return (gain_BT * texts.target_BT).sum() / ranks.average(texts.target_BT.sum())

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """−log σ(D(x) − D(y)), as gad's."""
        generator, discriminator = self.players
        return contrast(discriminator, batch, complete_batch(generator, batch))


def clipped(ratio_BT: Tensor, advantages_BT: Tensor, clip: float) -> Tensor:
    """PPO's surrogate (Schulman et al. 2017, eq. 7)."""
    return torch.minimum(ratio_BT * advantages_BT, ratio_BT.clamp(1 - clip, 1 + clip) * advantages_BT)
