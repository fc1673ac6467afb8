"""Texts drawn so that a discriminator's gradient reaches the generator: the Gumbel-softmax relaxation.

Jang et al. 2017 and Maddison et al. 2017: softmax(β·(logits + Gumbel noise)) is a soft row whose largest entry is a
draw from the generator itself, whatever β (the inverse temperature) is; the larger β, the closer the row to one-hot and
the wilder its gradient. As in GSGAN (Kusner & Hernández-Lobato 2016) and RelGAN (Nie et al. 2019).

Any generator will do whose `step` reads soft rows `(B,V)` as well as ids (`gdcore.networks.layers.embed`). Memory:
B·T·V numbers for the rows, and as many for their gradient.

Shapes: B texts, T tokens, V vocabulary.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gdcore.batches import Batch, make_batch
from gdcore.contracts import Generator
from gdcore.networks import latent
from gdcore.sampling import FORBIDDEN
from gdcore.tokenizer import EOS, PAD

Feed = Literal["soft", "drawn"]


@dataclass(frozen=True)
class SoftTexts:
    """Texts as a discriminator with gradients reads them, and as the ids that were drawn."""

    rows_BTV: Tensor
    """One-hot where the token was given, soft where it was drawn, zero behind the text's end."""
    batch: Batch
    """The texts themselves; `batch.mask_BT` says which rows count."""


def sample_soft(generator: Generator, batch: Batch, inverse_temperature: float, feed: Feed = "soft") -> SoftTexts:
    """One fresh text for each text of a batch, from the same prompt; seeded from torch's global generator.

    `feed` is what the next step reads: the soft row, through which gradients flow back in time too, or the token drawn
    (RelGAN's way). A text ends with its EOS or at the generator's context.
    """
    given_BT, given_B = batch.tokens_BT, batch.prompt_lengths_B
    num, width = given_BT.shape
    noise_BZ = torch.randn(num, latent.noise_dim(generator), device=given_BT.device)
    state = latent.begin(generator, noise_BZ)
    live_B = torch.ones(num, dtype=torch.bool, device=given_BT.device)
    tokens, rows = [given_BT[:, 0]], [one_hot(given_BT[:, 0], generator.vocab_size).float()]
    for t in range(1, generator.context):
        logits_BV, state = generator.step(rows[-1] if feed == "soft" else tokens[-1], state)
        logits_BV = logits_BV.float().index_fill(1, torch.tensor(FORBIDDEN, device=logits_BV.device), -torch.inf)
        noisy_BV = logits_BV + _gumbel(logits_BV)
        token_B, row_BV = noisy_BV.argmax(dim=-1), torch.softmax(inverse_temperature * noisy_BV, dim=-1)
        given = t < given_B
        if t < width:
            token_B = torch.where(given, given_BT[:, t], token_B)
            row_BV = torch.where(given.unsqueeze(1), one_hot(given_BT[:, t], generator.vocab_size), row_BV)
        tokens.append(torch.where(live_B, token_B, PAD))
        rows.append(row_BV * live_B.unsqueeze(1))
        live_B = live_B & ((token_B != EOS) | given)
        if not bool(live_B.any()):
            break
    tokens_BT = torch.stack(tokens, dim=1)
    drawn = make_batch(tokens_BT, (tokens_BT != PAD).sum(dim=1), given_B)
    return SoftTexts(torch.stack(rows, dim=1), replace(drawn, noise_BZ=noise_BZ))


def _gumbel(like: Tensor) -> Tensor:
    """Standard Gumbel noise: −log of an exponential draw."""
    return -torch.empty_like(like).exponential_().clamp(min=torch.finfo(like.dtype).tiny).log()
