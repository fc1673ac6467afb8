"""SeqGAN: policy gradient on a discriminator's verdicts, token by token.

Yu, Zhang, Wang & Yu 2017 (arXiv 1609.05473), eq. 1 and 8: maximise E_{y∼G} Σ_t log G(y_t | y_<t) · Q(y_<t, y_t).
Departures: Q is not estimated by rollouts but read off a causal discriminator, whose logit at t has learnt to judge the
text from its first t tokens (as in MaskGAN and ScratchGAN): one pass instead of T·N. A leave-one-out baseline per
position takes the place of none. Interleaved maximum likelihood (`mle_weight`) is optional; the paper's is 0.

Shapes: B texts, T tokens.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.batches import Batch
from gdcore.contracts import CausalDiscriminator, Discriminator, Generator, Loss
from gdcore.errors import UserError
from gdcore.likelihood import logprobs, nll
from gdcore.policy import leave_one_out
from gdcore.sampling import complete_batch
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["seqgan"] = "seqgan"
    mle_weight: float = Field(default=0.0, ge=0)
    """Weight of the likelihood of real text in the generator's loss; the paper's SeqGAN has none."""


class Objective(nn.Module):
    """Generator against a causal discriminator, by policy gradient."""

    def __init__(self, config: Config, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        if not hasattr(discriminator, "token_logits"):
            raise UserError(
                f"objective seqgan rewards every token, so it needs a discriminator that judges every prefix; "
                f"{discriminator.config.name!r} judges whole texts. Set discriminator.name to causal_lstm."
            )
        self.config = config
        self.players: tuple[Generator, CausalDiscriminator] = generator, discriminator  # type: ignore[assignment]

    def generator_loss(self, batch: Batch, step: int) -> Loss:
        generator, _ = self.players
        fake = complete_batch(generator, batch)
        rewards_BT = self.rewards(fake)
        advantages_BT = leave_one_out(rewards_BT, fake.target_BT)
        loss = -(advantages_BT * logprobs(generator, fake)).sum() / fake.target_BT.sum()
        logs = {"reward": rewards_BT[fake.target_BT].mean()}
        if self.config.mle_weight:
            logs["nll"] = nll(generator, batch)
            loss = loss + self.config.mle_weight * logs["nll"]
        return loss, logs

    @torch.no_grad()
    def rewards(self, fake: Batch) -> Tensor:
        """Q(y_<t, y_t) `(B,T)`: the probability that the text is real, judged by its prefix up to and with token t."""
        _, discriminator = self.players
        discriminator.eval()
        rewards_BT = torch.sigmoid(discriminator.token_logits(fake.tokens_BT, fake.mask_BT)) * fake.target_BT
        discriminator.train()
        return rewards_BT

    def discriminator_loss(self, batch: Batch, step: int) -> Loss:
        """Binary cross-entropy on every prefix, real ones against generated ones (eq. 5)."""
        generator, discriminator = self.players
        fake = complete_batch(generator, batch)
        real_K = discriminator.token_logits(batch.tokens_BT, batch.mask_BT)[batch.target_BT]
        fake_K = discriminator.token_logits(fake.tokens_BT, fake.mask_BT)[fake.target_BT]
        loss = (nn.functional.softplus(-real_K).mean() + nn.functional.softplus(fake_K).mean()) / 2
        return loss, {"accuracy": ((real_K > 0).float().mean() + (fake_K < 0).float().mean()) / 2}
