"""Latent GAN: the plain GAN of Goodfellow et al. 2014, from noise, played on the codes of a text VAE.

A critic tells the codes of real texts, drawn from the encoder's posterior, from those that the generator's map makes of
noise; the map learns to pass. Goodfellow et al. 2014 (arXiv 1406.2661), with weights and penalties as in a common
recipe, L_G = λ_G·D(G(z)) − log(1 − D(G(z))) + λ₁‖G‖² + λ₂‖D‖² and L_D = λ_D[D(x) − log(1 − D(G(z)))] + λ₃‖D‖², whose
signs, as printed, send each player the wrong way in one of its terms. What is meant is implemented: each player's loss
by name (`loss`), times its λ, and the squares of what the players put out. Other losses by name; adversarial play on
codes rather than texts as in Zhao et al. 2018 (arXiv 1706.04223), where the encoder plays too: here it and the decoder
stay as pretrained, unless `mle_weight` goes on training the bound of all.

The critic is this objective's own. The discriminator of texts takes no part: it learns by cross-entropy, for the
collapse guard, the report and the bundle.

Shapes: B texts, Z latent variables.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.adversarial import gan_losses
from gdcore.adversarial.gan_losses import GanLoss
from gdcore.adversarial.verdicts import cross_entropy
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss, MappedGenerator
from gdcore.likelihood import with_likelihood
from gdcore.networks import latent
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["latent_gan"] = "latent_gan"
    loss: GanLoss = "non_saturating"
    """What the players minimise."""
    generator_weight: float = Field(default=1.0, ge=0)
    """λ_G, of the generator's share in that."""
    critic_weight: float = Field(default=1.0, ge=0)
    """λ_D, of the critic's."""
    code_penalty: float = Field(default=1e-3, ge=0)
    """λ₁, of the squared length of the codes that are made; pulls them towards 0."""
    passing_penalty: float = Field(default=1e-3, ge=0)
    """λ₂, of the critic's squared logit in the generator's loss: none should pass by a mile."""
    critic_penalty: float = Field(default=1e-3, ge=0)
    """λ₃, of the critic's squared logits in its own."""
    gradient_penalty: float = Field(default=10.0, ge=0)
    """Weight of the penalty on the critic's gradient; with `loss` `wasserstein` alone."""
    critic_dims: tuple[int, ...] = Field(default=(256, 128), min_length=1)
    """Widths of the critic's hidden layers."""
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss; with it encoder and decoder learn too."""


class Objective(nn.Module):
    """A map from noise to codes against a critic of codes."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        """Raises UserError for a generator without such a map."""
        super().__init__()
        self.config = config
        self.players: tuple[MappedGenerator, Discriminator] = latent.mapped(generator, "latent_gan"), discriminator
        self.critic = perceptron(self.players[0].noise_dim, config.critic_dims)

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        config, (generator, _) = self.config, self.players
        real_BZ, fake_BZ = self.codes(batch)
        fake_B = self._verdicts(fake_BZ)
        loss = config.generator_weight * gan_losses.generator_loss(config.loss, self._verdicts(real_BZ), fake_B)
        loss = loss + config.code_penalty * fake_BZ.square().sum(dim=1).mean()
        loss = loss + config.passing_penalty * fake_B.square().mean()
        return with_likelihood(loss, {"reward": fake_B.mean()}, generator, batch, config.mle_weight)

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """The critic's loss, and the onlooking discriminator's cross-entropy."""
        generator, discriminator = self.players
        with torch.no_grad():
            real_BZ, fake_BZ = self.codes(batch)
        critic_loss, logs = self.critic_loss(real_BZ, fake_BZ)
        told, onlooker = cross_entropy(discriminator, batch, complete_batch(generator, batch))
        return critic_loss + told, logs | onlooker

    def codes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A code of each real text and as many that are made of noise, both `(B,Z)`; gradients reach the map alone."""
        generator, _ = self.players
        real_BZ = latent.drawn_codes(generator, batch)
        return real_BZ, generator.codes(torch.randn_like(real_BZ)).float()

    def critic_loss(self, real_BZ: Tensor, fake_BZ: Tensor) -> Loss:
        config, real_B, fake_B = self.config, self._verdicts(real_BZ), self._verdicts(fake_BZ)
        loss = config.critic_weight * gan_losses.discriminator_loss(config.loss, real_B, fake_B)
        loss = loss + config.critic_penalty * (real_B.square().mean() + fake_B.square().mean())
        logs = {"critic_accuracy": (real_B > fake_B).float().mean()}
        if config.loss == "wasserstein" and config.gradient_penalty:
            logs["gradient_penalty"] = gan_losses.gradient_penalty(self._verdicts, real_BZ, fake_BZ)
            loss = loss + config.gradient_penalty * logs["gradient_penalty"]
        return loss, logs

    def _verdicts(self, codes_BZ: Tensor) -> Tensor:
        """Logits `(B,)`."""
        return self.critic(codes_BZ).squeeze(1).float()


def perceptron(dim: int, hidden_dims: tuple[int, ...]) -> nn.Sequential:
    """A critic of codes: one logit each."""
    layers: list[nn.Module] = []
    for hidden_dim in hidden_dims:
        layers += [nn.Linear(dim, hidden_dim), nn.LeakyReLU(0.2)]
        dim = hidden_dim
    return nn.Sequential(*layers, nn.Linear(dim, 1))
