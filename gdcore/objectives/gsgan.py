"""GSGAN: the first GAN of texts by the Gumbel-softmax trick; soft rows feed the generator and the discriminator alike.

Kusner & Hernández-Lobato 2016 (arXiv 1611.04051): y = softmax((logits + Gumbel)/τ), τ falling in a straight line from 5
to 1, and the step that follows reads the soft row, so that gradients flow back in time through what was written. The
paper's loss is the GAN's own; others by name. Interleaved maximum likelihood (`mle_weight`) is optional.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from gdcore.adversarial import soft_gan
from gdcore.adversarial.soft_gan import SoftGanConfig
from gdcore.adversarial.soft_sampling import SoftTexts, sample_soft
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss


class Config(SoftGanConfig):
    name: Literal["gsgan"] = "gsgan"
    first_temperature: float = Field(default=5.0, gt=0)
    """τ in the first turn."""
    last_temperature: float = Field(default=1.0, gt=0)
    """τ once it has fallen."""
    anneal_steps: int = Field(default=200, ge=1)
    """Turns over which it falls."""


class Objective(nn.Module):
    """Generator against a discriminator, by gradient through soft texts."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        return soft_gan.generator_loss(self.config, *self.players, batch, self._drawn(batch, step))

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Of the same soft texts, without gradient."""
        with torch.no_grad():
            fake = self._drawn(batch, step)
        return soft_gan.discriminator_loss(self.config, self.players[1], batch, fake)

    def temperature(self, step: int) -> float:
        """τ of a turn."""
        config, share = self.config, min(1.0, step / self.config.anneal_steps)
        return config.first_temperature + share * (config.last_temperature - config.first_temperature)

    def _drawn(self, batch: Batch, step: int) -> SoftTexts:
        generator, _ = self.players
        return sample_soft(generator, batch, 1 / self.temperature(step), feed="soft")
