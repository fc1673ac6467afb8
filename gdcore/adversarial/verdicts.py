"""What a discriminator says of texts and of prefixes, and what it minimises: arithmetic that objectives share.

Shapes: B texts, T tokens, K tokens that count.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from gdcore import ranks
from gdcore.batches import Batch
from gdcore.contracts import CausalDiscriminator, Discriminator, LabellingDiscriminator, Loss
from gdcore.errors import UserError


@contextmanager
def judging(discriminator: Discriminator) -> Iterator[None]:
    """No dropout and no gradient meanwhile; the discriminator goes on in the mode that it was in."""
    training = discriminator.training
    discriminator.eval()
    with torch.no_grad():
        yield
    discriminator.train(training)


@contextmanager
def passed(discriminator: Discriminator) -> Iterator[None]:
    """What is computed meanwhile passes its gradient on to what was judged, and leaves none with the discriminator.

    Its weights' gradients would be thrown away; so would all that leads from the verdicts on real texts to them.
    """
    learning = [parameter for parameter in discriminator.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def verdicts(discriminator: Discriminator, batch: Batch) -> Tensor:
    """Logits `(B,)` without dropout, as a reward."""
    with judging(discriminator):
        return discriminator(batch.tokens_BT, batch.mask_BT)


def cross_entropy(discriminator: Discriminator, real: Batch, fake: Batch) -> Loss:
    """Binary cross-entropy of real texts against generated ones (Goodfellow et al. 2014, eq. 1), halved."""
    real_B = discriminator(real.tokens_BT, real.mask_BT)
    fake_B = discriminator(fake.tokens_BT, fake.mask_BT)
    told = loss_of(discriminator, real_B, torch.ones_like(real_B))
    loss = (told + loss_of(discriminator, fake_B, torch.zeros_like(fake_B))) / 2
    return loss, {"accuracy": ((real_B > 0).float().mean() + (fake_B < 0).float().mean()) / 2}


def loss_of(discriminator: Discriminator, logits: Tensor, targets: Tensor) -> Tensor:
    """What a discriminator minimises: cross-entropy, unless it is of another mind (`verdict_loss`, as a machine of
    margins has).

    Of logits `(B,)` with targets 1 (real) and 0 `(B,)`; of logits `(B,K)` with targets the classes `(B,)`.
    """
    own: Callable[[Tensor, Tensor], Tensor] | None = getattr(discriminator, "verdict_loss", None)
    if own is not None:
        return own(logits.float(), targets)
    if logits.dim() == 2:
        return nn.functional.cross_entropy(logits.float(), targets)
    return nn.functional.softplus((1 - 2 * targets) * logits.float()).mean()


def contrast(discriminator: Discriminator, real: Batch, fake: Batch) -> Loss:
    """−log σ(D(x) − D(y)) over pairs of a real and a generated text (Bradley and Terry 1952).

    It is the cross-entropy of the difference; with a loss of its own a discriminator ranks by that.
    """
    margin_B = discriminator(real.tokens_BT, real.mask_BT) - discriminator(fake.tokens_BT, fake.mask_BT)
    return loss_of(discriminator, margin_B, torch.ones_like(margin_B)), {"accuracy": (margin_B > 0).float().mean()}


def causal(discriminator: Discriminator, objective: str) -> CausalDiscriminator:
    """The same discriminator, known to judge prefixes. Raises UserError for one that judges whole texts alone."""
    if not hasattr(discriminator, "token_logits"):
        raise UserError(
            f"objective {objective} rewards every token, so it needs a discriminator that judges every prefix; "
            f"{discriminator.config.name!r} judges whole texts. Set discriminator.name to causal_lstm."
        )
    return cast(CausalDiscriminator, discriminator)


def prefix_verdicts(discriminator: CausalDiscriminator, batch: Batch) -> Tensor:
    """Logits `(B,T)` of every prefix without dropout; that at `t` judges the text up to and with token `t`."""
    with judging(discriminator):
        return discriminator.token_logits(batch.tokens_BT, batch.mask_BT)


def prefix_cross_entropy(discriminator: CausalDiscriminator, real: Batch, fake: Batch) -> Loss:
    """Binary cross-entropy on every prefix of real texts against every prefix of generated ones, halved."""
    real_K = discriminator.token_logits(real.tokens_BT, real.mask_BT)[real.target_BT]
    fake_K = discriminator.token_logits(fake.tokens_BT, fake.mask_BT)[fake.target_BT]
    loss = (ranks.mean(nn.functional.softplus(-real_K)) + ranks.mean(nn.functional.softplus(fake_K))) / 2
    return loss, {"accuracy": ((real_K > 0).float().mean() + (fake_K < 0).float().mean()) / 2}


def labelling(discriminator: Discriminator, objective: str) -> LabellingDiscriminator:
    """The same discriminator, known to label tokens. Raises UserError for one that does not."""
    if not hasattr(discriminator, "marginals"):
        raise UserError(
            f"objective {objective} trains a discriminator on labels of tokens, so it needs one that labels them; "
            f"{discriminator.config.name!r} does not. Set discriminator.name to crf."
        )
    return cast(LabellingDiscriminator, discriminator)


def token_verdicts(discriminator: LabellingDiscriminator, batch: Batch) -> Tensor:
    """The probability `(B,T)` that each token is real, given the whole text, without dropout; 0 on PAD."""
    with judging(discriminator):
        return discriminator.marginals(batch.tokens_BT, batch.mask_BT)
