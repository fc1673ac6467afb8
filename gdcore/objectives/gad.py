"""GAD: policy gradient on a Bradley–Terry discriminator, held near the pretrained generator.

Ye et al. 2025, «Black-box on-policy distillation of large language models» (generative adversarial distillation):
the discriminator minimises −log σ(D(x) − D(y)) over pairs of a real and a generated text; the generator maximises
D(y), less what the other texts of its group get: the answers to one prompt, or without prompts the whole batch. (Pairs
leave open what is added to all verdicts on one prompt, so those on two say nothing about each other.) Departures: the
baseline leaves the text itself out, interleaved maximum likelihood replaces the warm-up on teacher answers, and one
update a batch needs no PPO clip.

Shapes: B texts, T tokens.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from gdcore import ranks
from gdcore.adversarial.policy import kl_estimate, leave_one_out, policy_logprobs, whiten
from gdcore.adversarial.snapshot import Snapshot
from gdcore.adversarial.verdicts import contrast, verdicts
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import logprobs, nll
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["gad"] = "gad"
    kl_weight: float = Field(default=0.05, ge=0)
    """Pull towards the pretrained generator, per token; 0 lets the generator go where the discriminator sends it."""
    mle_weight: float = Field(default=1.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss."""
    reward_weight: float = Field(default=1.0, ge=0)
    """Weight of the discriminator's verdict; 0 is the control: the same fine-tuning with the discriminator off."""
    group: int = Field(default=8, ge=2)
    """Answers to each prompt that are compared, a batch having so many fewer prompts; without prompts all texts are."""


class Objective(nn.Module):
    """Generator against a discriminator of pairs, by group-relative policy gradient with a KL anchor."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save
        self.reference = Snapshot(generator)

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, discriminator = self.players
        groups, asked = self._groups(batch)
        fake = complete_batch(generator, asked)
        rewards_B = verdicts(discriminator, fake)
        advantages_B = whiten(leave_one_out(rewards_B.view(groups, -1).T, everywhere=groups == 1).T.flatten())
        logprobs_BT = policy_logprobs(generator, fake)
        num_tokens = ranks.average(fake.target_BT.sum())
        policy = -(advantages_B.unsqueeze(1) * logprobs_BT).sum() / num_tokens
        with torch.no_grad():
            reference_BT = logprobs(self.reference.model, fake)
        kl = kl_estimate(logprobs_BT, reference_BT).sum() / num_tokens
        real_nll = nll(generator, batch)
        loss = self.config.reward_weight * policy + self.config.kl_weight * kl + self.config.mle_weight * real_nll
        margin = (rewards_B - verdicts(discriminator, asked)).mean()  # by itself a verdict of pairs is arbitrary
        return loss, {"reward": margin, "kl": kl, "nll": real_nll}

    def _groups(self, batch: Batch) -> tuple[int, Batch]:
        """The number of groups, and a real text for each text to be written: with its prompt, the group's together."""
        if not bool((batch.prompt_lengths_B > 1).any()):
            return 1, batch
        size = min(self.config.group, len(batch))
        groups = len(batch) // size
        return groups, batch.rows(torch.arange(groups, device=batch.tokens_BT.device)).repeated(size)

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """−log σ(D(x) − D(y)); where texts answer prompts, x and y answer the same one."""
        generator, discriminator = self.players
        return contrast(discriminator, batch, complete_batch(generator, batch))
