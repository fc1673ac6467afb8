"""SeqGAN: policy gradient on a discriminator's verdicts, token by token.

Yu, Zhang, Wang & Yu 2017 (arXiv 1609.05473), eq. 1 and 8: maximise E_{y∼G} Σ_t log G(y_t | y_<t) · Q(y_<t, y_t).
With `rollouts` Q is the paper's: the mean verdict on that many completions of each prefix (eq. 4), written by a policy
that follows the generator with a delay. Without, the default, Q is read off a causal discriminator, whose logit at t
has learnt to judge the text from its first t tokens (as in MaskGAN and ScratchGAN): one pass instead of T·N. Departure:
a leave-one-out baseline per position. Interleaved maximum likelihood (`mle_weight`) is optional; the paper's is 0.

Shapes: B texts, T tokens.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore import ranks
from gdcore.adversarial.policy import leave_one_out, policy_logprobs
from gdcore.adversarial.rollouts import rollout_rewards
from gdcore.adversarial.snapshot import Snapshot
from gdcore.adversarial.verdicts import causal, cross_entropy, prefix_cross_entropy, prefix_verdicts, verdicts
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import with_likelihood
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["seqgan"] = "seqgan"
    rollouts: int = Field(default=0, ge=0)
    """Completions of each prefix that are judged, with any discriminator (the paper's 16); 0 asks a causal one."""
    rollout_decay: float = Field(default=0.8, ge=0, lt=1)
    """Share of the old rollout policy that each turn leaves."""
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss; the paper's SeqGAN has none."""


class Objective(nn.Module):
    """Generator against a discriminator, by policy gradient."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator if config.rollouts else causal(discriminator, "seqgan")
        self.roller = Snapshot(generator) if config.rollouts else None

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        fake = complete_batch(generator, batch)
        rewards_BT = self.rewards(fake)
        advantages_BT = leave_one_out(rewards_BT, fake.target_BT)
        loss = -(advantages_BT * policy_logprobs(generator, fake)).sum() / ranks.average(fake.target_BT.sum())
        logs = {"reward": ranks.mean(rewards_BT[fake.target_BT])}
        return with_likelihood(loss, logs, generator, batch, self.config.mle_weight)

    @torch.no_grad()
    def rewards(self, fake: Batch) -> Tensor:
        """Q(y_<t, y_t) `(B,T)`: the probability that the text is real, judged by its prefix up to and with token t."""
        generator, discriminator = self.players
        if self.roller is None:
            prefixes_BT = prefix_verdicts(causal(discriminator, "seqgan"), fake)
            return torch.sigmoid(prefixes_BT) * fake.target_BT
        self.roller.follow(generator, self.config.rollout_decay)

        def judge(texts: Batch) -> Tensor:
            return torch.sigmoid(verdicts(discriminator, texts))

        return rollout_rewards(self.roller.model, fake, judge, self.config.rollouts)

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Binary cross-entropy (eq. 5): of whole texts with rollouts, else on every prefix."""
        generator, discriminator = self.players
        fake = complete_batch(generator, batch)
        if self.roller is None:
            return prefix_cross_entropy(causal(discriminator, "seqgan"), batch, fake)
        return cross_entropy(discriminator, batch, fake)
