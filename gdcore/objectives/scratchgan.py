"""ScratchGAN: REINFORCE with a reward for every token, and a running mean for baseline.

de Masson d'Autume et al. 2019 (arXiv 1905.09922), §3: r_t = 2 D(y_≤t) − 1, R_t = Σ_{s≥t} γ^(s−t) r_s, and the gradient
of Σ_t (R_t − b) log G(y_t | y_<t) with b an exponentially weighted mean of the returns. Departures: here it fine-tunes
a pretrained generator, while the paper trains from scratch, with batches of 512 and more; raise `finetune.batch_size`
and `finetune.discriminator_learning_rate` towards that. Interleaved maximum likelihood is optional, the paper has none.

Shapes: B texts, T tokens.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore import ranks
from gdcore.adversarial.policy import policy_logprobs
from gdcore.adversarial.verdicts import causal, prefix_cross_entropy, prefix_verdicts
from gdcore.batches import Batch
from gdcore.contracts import CausalDiscriminator, Discriminator, Generator, Loss
from gdcore.likelihood import with_likelihood
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["scratchgan"] = "scratchgan"
    discount: float = Field(default=0.23, ge=0, le=1)
    """γ: how much the next token's reward counts for this one."""
    baseline_decay: float = Field(default=0.08, ge=0, lt=1)
    """Share of the old baseline that stays when a batch's mean return comes in."""
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss."""


class Objective(nn.Module):
    """Generator against a causal discriminator, by REINFORCE on discounted returns."""

    baseline: Tensor

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players: tuple[Generator, CausalDiscriminator] = generator, causal(discriminator, "scratchgan")
        self.register_buffer("baseline", torch.zeros(()))

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        fake = complete_batch(generator, batch)
        returns_BT = self.returns(fake)
        num_tokens = ranks.average(fake.target_BT.sum())
        advantages_BT = (returns_BT - self.baseline) * fake.target_BT
        loss = -(advantages_BT * policy_logprobs(generator, fake)).sum() / num_tokens
        mean = ranks.average(returns_BT.sum() / num_tokens)
        self.baseline.lerp_(mean.to(self.baseline), 1 - self.config.baseline_decay)
        return with_likelihood(loss, {"reward": mean}, generator, batch, self.config.mle_weight)

    def returns(self, fake: Batch) -> Tensor:
        """R_t `(B,T)`: each token's own reward and, discounted, those of the tokens behind it; 0 where none counts."""
        _, discriminator = self.players
        rewards_BT = (2 * prefix_verdicts(discriminator, fake).sigmoid() - 1) * fake.target_BT
        returns_BT = rewards_BT.clone()
        for t in reversed(range(rewards_BT.shape[1] - 1)):
            returns_BT[:, t] += self.config.discount * returns_BT[:, t + 1]
        return returns_BT * fake.target_BT

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Binary cross-entropy on every prefix."""
        generator, discriminator = self.players
        return prefix_cross_entropy(discriminator, batch, complete_batch(generator, batch))
