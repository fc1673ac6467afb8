"""What the players of a GAN minimise on soft texts, through which the discriminator's gradient reaches the generator.

The `gsgan` and `relgan` objectives, which differ in how soft the texts are and in what the next step reads. Of a
discriminator of several views of a text each view's logit is a verdict of its own, and the losses are averaged over
them (RelGAN, Nie et al. 2019, §2.3).

Shapes: B texts, T tokens, V vocabulary, W views.
"""

from typing import cast

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot, pad

from gdcore.adversarial import gan_losses
from gdcore.adversarial.gan_losses import GanLoss
from gdcore.adversarial.soft_sampling import SoftTexts
from gdcore.adversarial.verdicts import passed
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss, ManyViewed
from gdcore.likelihood import with_likelihood
from gdcore.settings import Settings


class SoftGanConfig(Settings):
    """Settings of every objective on soft texts."""

    loss: GanLoss = "non_saturating"
    """What the players minimise."""
    gradient_penalty: float = Field(default=10.0, ge=0)
    """Weight of the penalty on the discriminator's gradient; with `loss` `wasserstein` alone."""
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss."""


def generator_loss(
    config: SoftGanConfig, generator: Generator, discriminator: Discriminator, batch: Batch, fake: SoftTexts
) -> Loss:
    """Low where the soft texts pass for real; logs by how much their logits exceed those of real texts.

    A logit by itself would say nothing where the loss compares: what is added to all of them is then left to rounding.
    """
    with passed(discriminator):
        fake_B = verdicts(discriminator, fake.rows_BTV, fake.batch.mask_BT)
        real_B = verdicts(discriminator, batch.tokens_BT, batch.mask_BT)
    loss = gan_losses.generator_loss(config.loss, real_B, fake_B)
    return with_likelihood(loss, {"reward": (fake_B - real_B).mean()}, generator, batch, config.mle_weight)


def discriminator_loss(config: SoftGanConfig, discriminator: Discriminator, batch: Batch, fake: SoftTexts) -> Loss:
    """Low where they are told."""
    real_B = verdicts(discriminator, batch.tokens_BT, batch.mask_BT)
    fake_B = verdicts(discriminator, fake.rows_BTV, fake.batch.mask_BT)
    loss = gan_losses.discriminator_loss(config.loss, real_B, fake_B)
    logs = {"accuracy": (real_B > fake_B).float().mean()}
    if config.loss == "wasserstein" and config.gradient_penalty:
        logs["gradient_penalty"] = penalty(discriminator, batch, fake.rows_BTV, fake.batch.mask_BT)
        loss = loss + config.gradient_penalty * logs["gradient_penalty"]
    return loss, logs


def verdicts(discriminator: Discriminator, inputs: Tensor, mask_BT: Tensor) -> Tensor:
    """Logits `(B,)`, with gradients; of a discriminator of several views each view's, `(B·W,)`, text by text."""
    if hasattr(discriminator, "view_logits"):
        return cast(ManyViewed, discriminator).view_logits(inputs, mask_BT).flatten()
    return discriminator(inputs, mask_BT)


def penalty(discriminator: Discriminator, real: Batch, rows_BTV: Tensor, mask_BT: Tensor) -> Tensor:
    """Gradient penalty (scalar) at mixtures of one-hot rows and soft ones; behind its end a text is rows of zeros."""
    width = max(real.tokens_BT.shape[1], rows_BTV.shape[1])
    real_BTV = one_hot(real.tokens_BT, rows_BTV.shape[2]) * real.mask_BT.unsqueeze(2)
    real_BTV, fake_BTV = (pad(rows, (0, 0, 0, width - rows.shape[1])) for rows in (real_BTV, rows_BTV))
    either_BT = torch.logical_or(*(pad(mask, (0, width - mask.shape[1])) for mask in (real.mask_BT, mask_BT)))
    return gan_losses.gradient_penalty(lambda between: discriminator(between, either_BT), real_BTV, fake_BTV)
