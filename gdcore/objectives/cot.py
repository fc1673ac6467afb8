"""CoT: cooperative training; the generator follows a mediator that learns real and generated text alike.

Lu et al. 2019 (arXiv 1804.03782), eq. 9 and 10: the mediator M maximises ½ E_x log M + ½ E_y log M, which makes it the
mixture (p + G)/2; the generator minimises Σ_t KL(G(·|y_<t) ‖ M(·|y_<t)) on its own texts, over the whole vocabulary, so
that no reward has to be estimated. Together they lower the Jensen–Shannon divergence of p and G. The mediator learns
with dropout, where the models have it, but is followed without, and so is what follows it.

The mediator is this objective's own and starts as the pretrained generator. The discriminator takes no part: it learns
by cross-entropy beside the mediator, for the collapse guard, the report and the bundle.

Shapes: B texts, T tokens, V vocabulary, K tokens that count, D features.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from gdcore import ranks
from gdcore.adversarial.undisturbed import undisturbed
from gdcore.adversarial.verdicts import cross_entropy
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, Loss
from gdcore.errors import UserError
from gdcore.likelihood import chunk_size, nll
from gdcore.networks import latent
from gdcore.networks.lora import shared_copy
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["cot"] = "cot"


class Objective(nn.Module):
    """Generator and mediator."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.config = config
        self.players = generator, discriminator  # a tuple: the players are not this module's to save
        if latent.noise_dim(generator):
            raise UserError(
                "objective cot compares distributions of the next word, and that of a generator with latent variables, "
                f"as {generator.config.name!r} has, is another for each text. Set generator.name to one without."
            )
        self.mediator = shared_copy(generator)

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        fake = complete_batch(generator, batch)
        with undisturbed(generator, self.mediator):
            kl = divergence(generator, self.mediator, fake)
        return kl, {"kl": kl}

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """The mediator's likelihood of both kinds of text, and the onlooking discriminator's cross-entropy."""
        generator, discriminator = self.players
        fake = complete_batch(generator, batch)
        mediator_nll = (nll(self.mediator, batch) + nll(self.mediator, fake)) / 2
        loss, logs = cross_entropy(discriminator, batch, fake)
        return mediator_nll + loss, {"nll": mediator_nll, **logs}


def divergence(generator: Generator, mediator: Generator, fake: Batch) -> Tensor:
    """KL(G ‖ M) of the next token, averaged over the tokens of `fake` that count; it moves the generator alone."""
    counts_BT = fake.target_BT[:, 1:]
    with torch.no_grad():
        mediator_KD = mediator.hidden(fake.tokens_BT[:, :-1])[counts_BT]
    generator_KD = generator.hidden(fake.tokens_BT[:, :-1])[counts_BT]
    total = torch.zeros((), device=generator_KD.device)
    size = chunk_size(generator)
    for own_KD, followed_KD in zip(generator_KD.split(size), mediator_KD.split(size), strict=True):
        with torch.no_grad():
            target_KV = mediator.head(followed_KD).float().log_softmax(dim=-1)
        log_KV = generator.head(own_KD).float().log_softmax(dim=-1)
        total = total + (log_KV.exp() * (log_KV - target_KV)).sum()
    return total / ranks.average(counts_BT.sum())
