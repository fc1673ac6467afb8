"""RelGAN: the discriminator's gradient reaches the generator through Gumbel-softmax rows, hotter at first than later.

Nie, Narodytska & Patel 2019 («RelGAN», ICLR): texts are drawn with y = softmax(β(logits + Gumbel)), the step that
follows reads the token drawn; β = β_max^(i/N) grows over N turns; both players minimise the relativistic loss. The
paper's generator is `relational_memory`, its discriminator `relgan`; any will do. Interleaved maximum likelihood
(`mle_weight`) is optional; the paper's is 0.

Shapes: B texts.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gdcore.adversarial import gan_losses
from gdcore.adversarial.gan_losses import GanLoss
from gdcore.adversarial.soft_sampling import sample_soft
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.likelihood import nll
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["relgan"] = "relgan"
    loss: GanLoss = "relativistic"
    """What the players minimise."""
    max_inverse_temperature: float = Field(default=100.0, ge=1)
    """β at the end: 100 for quality, 1,000 for diversity."""
    anneal_steps: int = Field(default=200, ge=1)
    """Turns over which β grows to that from 1."""
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss."""


class Objective(nn.Module):
    """Generator against a discriminator, by gradient through relaxed texts."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, discriminator = self.players
        fake_B = self._fake_logits(batch, step)
        loss = gan_losses.generator_loss(self.config.loss, discriminator(batch.tokens_BT, batch.mask_BT), fake_B)
        logs = {"reward": fake_B.mean()}
        if self.config.mle_weight:
            logs["nll"] = nll(generator, batch)
            loss = loss + self.config.mle_weight * logs["nll"]
        return loss, logs

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Of the same relaxed texts, whose gradient stops here."""
        _, discriminator = self.players
        real_B = discriminator(batch.tokens_BT, batch.mask_BT)
        fake_B = self._fake_logits(batch, step, detached=True)
        return gan_losses.discriminator_loss(self.config.loss, real_B, fake_B), {
            "accuracy": (real_B > fake_B).float().mean()
        }

    def inverse_temperature(self, step: int) -> float:
        """β of a turn."""
        return self.config.max_inverse_temperature ** min(1.0, step / self.config.anneal_steps)

    def _fake_logits(self, batch: Batch, step: int, *, detached: bool = False) -> Tensor:
        generator, discriminator = self.players
        fake = sample_soft(generator, batch, self.inverse_temperature(step), feed="drawn")
        rows_BTV = fake.rows_BTV.detach() if detached else fake.rows_BTV
        return discriminator(rows_BTV, fake.batch.mask_BT)
