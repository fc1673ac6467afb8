"""VAE against CRF: a judge that labels tokens learns from replaced spans; each token is rewarded by its own label.

The discriminator is a linear-chain conditional random field (Lafferty et al. 2001) trained by −log P(labels | text) on
three kinds of text: real ones, all of whose tokens are real; real ones of which the generator wrote a span (spans as in
Donahue et al. 2020, replaced tokens as in Clark et al. 2020, ELECTRA); and the generator's own. P(all tokens real) is
its verdict on a text. The generator, a text VAE (Kingma & Welling 2014), keeps its evidence's lower bound and maximises
E Σ_t P(token t real | y) by policy gradient.

A token is credited with its own label alone, although the labels of others hang on it too: less variance than with
the sum of all, and a bias. A generator without latent variables plays as well, its NLL in the bound's place.

Shapes: B texts, T tokens, K tokens that count.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore import ranks
from gdcore.adversarial.corruption import corrupt
from gdcore.adversarial.policy import leave_one_out, policy_logprobs, whiten
from gdcore.adversarial.verdicts import labelling, token_verdicts, verdicts
from gdcore.batches import Batch
from gdcore.contracts import Discriminator, Generator, LabellingDiscriminator, Loss
from gdcore.likelihood import pretraining_loss
from gdcore.sampling import complete_batch
from gdcore.settings import Settings

LATE = 1 << 40
"""A step of pretraining by which whatever is annealed there, as the divergence's weight, has risen."""


class Config(Settings):
    name: Literal["vae_crf"] = "vae_crf"
    reward_weight: float = Field(default=1.0, ge=0)
    """Weight of the labels' verdict; 0 is the control: the same fine-tuning with the discriminator off."""
    bound_weight: float = Field(default=1.0, ge=0)
    """Weight of what the generator minimised in pretraining: of a VAE its bound, of others the NLL."""
    span_share: float = Field(default=0.5, gt=0, le=1)
    """Largest share of a real text that the generator replaces."""


class Objective(nn.Module):
    """Generator against a discriminator of tokens."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        """Raises UserError for a discriminator that does not label tokens."""
        super().__init__()
        self.config = config
        self.players: tuple[Generator, LabellingDiscriminator] = generator, labelling(discriminator, "vae_crf")

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, discriminator = self.players
        fake = complete_batch(generator, batch)
        rewards_BT = token_verdicts(discriminator, fake)
        advantages_K = whiten(leave_one_out(rewards_BT, fake.target_BT)[fake.target_BT])
        policy = -ranks.mean(advantages_K * policy_logprobs(generator, fake)[fake.target_BT])
        bound, logs = pretraining_loss(generator, batch, LATE)
        loss = self.config.reward_weight * policy + self.config.bound_weight * bound
        return loss, {"reward": ranks.mean(rewards_BT[fake.target_BT]), **logs}

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """−log P(labels | text) per token, averaged over real, altered and generated texts."""
        generator, discriminator = self.players
        fake = complete_batch(generator, batch)
        altered, labels_BT = corrupt(generator, batch, self.config.span_share)
        kinds: list[tuple[Batch, Tensor]] = [
            (batch, torch.ones_like(batch.tokens_BT)),
            (altered, labels_BT),
            (fake, (~fake.target_BT).long()),
        ]
        losses = [discriminator.loss(texts.tokens_BT, labels, texts.mask_BT) for texts, labels in kinds]
        right = [(verdicts(discriminator, batch) > 0), (verdicts(discriminator, fake) < 0)]
        span_BT = altered.mask_BT & (labels_BT == 0)
        found = (token_verdicts(discriminator, altered)[span_BT] < 0.5).float().sum() / span_BT.sum().clamp(min=1)
        return torch.stack(losses).mean(), {"accuracy": torch.cat(right).float().mean(), "span_recall": found}
