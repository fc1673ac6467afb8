"""MaliGAN: maximum likelihood on the generator's own texts, each weighted by how real the discriminator finds it.

Che et al. 2017 (arXiv 1702.07983), eq. 5: at the optimum D/(1 − D) is the density ratio p/G, so Σ w_i ∇ log G(y_i) with
w_i = r_i / Σ r − b, r = D/(1 − D), estimates the gradient of the likelihood. Departures: r is clipped, since one text
of the batch would otherwise take it all; b is 1/B from the start, where the paper raises it slowly, so that the weights
sum to 0 and equal verdicts teach nothing. The paper's mixing in of real prefixes is left to `mle_weight`.

Shapes: B texts, T tokens.
"""

import math
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gdcore import ranks
from gdcore.adversarial.policy import policy_logprobs
from gdcore.adversarial.verdicts import cross_entropy, verdicts
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import with_likelihood
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["maligan"] = "maligan"
    max_ratio: float = Field(default=10.0, gt=0)
    """Largest density ratio that a text is credited with."""
    baseline: float = Field(default=1.0, ge=0)
    """What every weight is lowered by, in units of 1/B; 0 is plain weighted likelihood."""
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss."""


class Objective(nn.Module):
    """Self-normalised importance weighting of the generator's own texts."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        fake = complete_batch(generator, batch)
        weights_B = self.weights(fake)
        # Equal weights 1/B give the NLL per token, so that learning rates mean what they mean in pretraining.
        mean_tokens = ranks.average(fake.target_BT.sum()) / len(fake)
        loss = -ranks.size() * (weights_B.unsqueeze(1) * policy_logprobs(generator, fake)).sum() / mean_tokens
        return with_likelihood(
            loss,
            {"reward": ranks.gathered(weights_B).max() * len(fake) * ranks.size()},
            generator,
            batch,
            self.config.mle_weight,
        )

    def weights(self, fake: Batch) -> Tensor:
        """r_i / Σ r − b/B `(B,)`, r = exp(logit) clipped."""
        _, discriminator = self.players
        # By way of logarithms: where all logits are very low, their exponentials are all zero.
        log_ratios_B = verdicts(discriminator, fake).clamp(max=math.log(self.config.max_ratio))
        shares_B = ranks.own(ranks.gathered(log_ratios_B).softmax(dim=0), like=log_ratios_B)
        return shares_B - self.config.baseline / (len(fake) * ranks.size())

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Binary cross-entropy: the ratio is right only for a discriminator that is calibrated."""
        generator, discriminator = self.players
        return cross_entropy(discriminator, batch, complete_batch(generator, batch))
