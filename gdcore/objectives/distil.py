"""Distillation of guided resampling: what a discriminator would choose, learnt by maximum likelihood.

With a discriminator of the real texts against a source S, P(x) ∝ S(x) · exp(logit D(x)) is nearer to the real
distribution than S (Azadi et al. 2019; Grover et al. 2019). Here k texts are drawn from S for each text of a batch, one
is kept with probability softmax(logit D), and the generator learns these beside the real texts: afterwards one pass of
the generator draws what took k passes and a discriminator. S is the generator as it was, brought up to date every
`round` turns; its texts are what the discriminator learns to tell, too.

Shapes: B texts, T tokens, k candidates.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.adversarial.snapshot import Snapshot
from gdcore.adversarial.verdicts import cross_entropy, verdicts
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import nll
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["distil"] = "distil"
    candidates: int = Field(default=8, ge=1)
    """k; 1 is the control, distillation of the generator's own texts without a discriminator."""
    mle_weight: float = Field(default=1.0, ge=0)
    """Weight of the likelihood of real text, beside 1 for the chosen ones."""
    round: int = Field(default=200, ge=1)
    """Turns after which the source is brought up to date."""


class Objective(nn.Module):
    """Generator that learns real texts and the chosen ones of its past self."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save
        self.source = Snapshot(generator)

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        if step > 0 and step % self.config.round == 0:
            self.source.follow(generator)
        chosen, gain = self.choose(batch)
        real_nll, chosen_nll = nll(generator, batch), nll(generator, chosen)
        weight = self.config.mle_weight
        loss = (weight * real_nll + chosen_nll) / (weight + 1)
        return loss, {"reward": gain, "nll": real_nll, "chosen_nll": chosen_nll}

    @torch.no_grad()
    def choose(self, batch: Batch) -> tuple[Batch, Tensor]:
        """One of k fresh texts for each of a batch's, and by how much the chosen logits exceed the mean."""
        _, discriminator = self.players
        candidates = complete_batch(self.source.model, batch.repeated(self.config.candidates))
        logits_Bk = verdicts(discriminator, candidates).view(len(batch), self.config.candidates)
        chosen_B = torch.multinomial(logits_Bk.softmax(dim=1), 1).squeeze(1)
        gain = (logits_Bk.gather(1, chosen_B.unsqueeze(1)).squeeze(1) - logits_Bk.mean(dim=1)).mean()
        rows_B = torch.arange(len(batch), device=chosen_B.device) * self.config.candidates + chosen_B
        return candidates.rows(rows_B), gain

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Binary cross-entropy of real texts against the source's."""
        _, discriminator = self.players
        return cross_entropy(discriminator, batch, complete_batch(self.source.model, batch))
