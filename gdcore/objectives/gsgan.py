"""GSGAN: the first GAN of texts by the Gumbel-softmax trick; soft rows feed the generator and the discriminator alike.

Kusner & Hernández-Lobato 2016 (arXiv 1611.04051): y = softmax((logits + Gumbel)/τ), τ falling in a straight line from 5
to 1, and the step that follows reads the soft row, so that gradients flow back in time through what was written. The
paper's loss is the GAN's own; others by name. Interleaved maximum likelihood (`mle_weight`) is optional.

Shapes: B texts.
"""

from typing import Literal

from pydantic import Field
from torch import nn

from gdcore.adversarial import gan_losses
from gdcore.adversarial.gan_losses import GanLoss
from gdcore.adversarial.soft_sampling import SoftTexts, sample_soft
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import nll
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["gsgan"] = "gsgan"
    loss: GanLoss = "non_saturating"
    """What the players minimise."""
    first_temperature: float = Field(default=5.0, gt=0)
    """τ in the first turn."""
    last_temperature: float = Field(default=1.0, gt=0)
    """τ once it has fallen."""
    anneal_steps: int = Field(default=200, ge=1)
    """Turns over which it falls."""
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss."""


class Objective(nn.Module):
    """Generator against a discriminator, by gradient through soft texts."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, discriminator = self.players
        fake = self._draw(batch, step)
        fake_B = discriminator(fake.rows_BTV, fake.batch.mask_BT)
        loss = gan_losses.generator_loss(self.config.loss, discriminator(batch.tokens_BT, batch.mask_BT), fake_B)
        logs = {"reward": fake_B.mean()}
        if self.config.mle_weight:
            logs["nll"] = nll(generator, batch)
            loss = loss + self.config.mle_weight * logs["nll"]
        return loss, logs

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Of the same soft texts, whose gradient stops here."""
        _, discriminator = self.players
        fake = self._draw(batch, step)
        real_B = discriminator(batch.tokens_BT, batch.mask_BT)
        fake_B = discriminator(fake.rows_BTV.detach(), fake.batch.mask_BT)
        logs = {"accuracy": (real_B > fake_B).float().mean()}
        return gan_losses.discriminator_loss(self.config.loss, real_B, fake_B), logs

    def temperature(self, step: int) -> float:
        """τ of a turn."""
        config, share = self.config, min(1.0, step / self.config.anneal_steps)
        return config.first_temperature + share * (config.last_temperature - config.first_temperature)

    def _draw(self, batch: Batch, step: int) -> SoftTexts:
        generator, _ = self.players
        return sample_soft(generator, batch, 1 / self.temperature(step), feed="soft")
