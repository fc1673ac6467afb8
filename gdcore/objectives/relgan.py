"""RelGAN: the discriminator's gradient reaches the generator through Gumbel-softmax rows, hotter at first than later.

Nie, Narodytska & Patel 2019 («RelGAN», ICLR): texts are drawn with y = softmax(β(logits + Gumbel)), the step that
follows reads the token drawn; β = β_max^(i/N) grows over N turns; both players minimise the relativistic loss, averaged
over the discriminator's views of a text. The paper's generator is `relational_memory`, its discriminator `relgan`; any
will do. Interleaved maximum likelihood (`mle_weight`) is optional; the paper's is 0.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import nn

from gdcore.adversarial import soft_gan
from gdcore.adversarial.gan_losses import GanLoss
from gdcore.adversarial.soft_gan import SoftGanConfig
from gdcore.adversarial.soft_sampling import SoftTexts, sample_soft
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss


class Config(SoftGanConfig):
    name: Literal["relgan"] = "relgan"
    loss: GanLoss = "relativistic"
    """What the players minimise."""
    max_inverse_temperature: float = Field(default=100.0, ge=1)
    """β at the end: 100 for quality, 1,000 for diversity."""
    anneal_steps: int = Field(default=200, ge=1)
    """Turns over which β grows to that from 1."""


class Objective(nn.Module):
    """Generator against a discriminator, by gradient through relaxed texts."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        return soft_gan.generator_loss(self.config, *self.players, batch, self._drawn(batch, step))

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Of the same relaxed texts, without gradient."""
        with torch.no_grad():
            fake = self._drawn(batch, step)
        return soft_gan.discriminator_loss(self.config, self.players[1], batch, fake)

    def inverse_temperature(self, step: int) -> float:
        """β of a turn."""
        return self.config.max_inverse_temperature ** min(1.0, step / self.config.anneal_steps)

    def _drawn(self, batch: Batch, step: int) -> SoftTexts:
        generator, _ = self.players
        return sample_soft(generator, batch, self.inverse_temperature(step), feed="drawn")
