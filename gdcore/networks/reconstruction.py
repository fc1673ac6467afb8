"""What a text VAE's latent space holds: how much of it is used, texts written back, texts between texts.

Shapes: B texts, Z latent variables, N texts of a split.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gdcore.batches import Batch
from gdcore.contracts import Generator
from gdcore.decoding import Decoding
from gdcore.networks import latent
from gdcore.sampling import complete
from gdcore.tokenizer import EOS, PAD, Tokenizer
from gdcore.uniforms import row_seeds

GREEDY = Decoding(temperature=0)
NUM_SHOWN = 6
STEPS = 5
"""Texts from one end of an interpolation to the other, both included."""


def written(generator: Generator, batch: Batch, noise_BZ: Tensor, decoding: Decoding = GREEDY) -> Batch:
    """One text for each text of a batch, from the same prompt and this noise."""
    return complete(
        generator,
        torch.where(batch.mask_BT & ~batch.target_BT, batch.tokens_BT, PAD),
        batch.prompt_lengths_B,
        max_tokens=generator.context,
        decoding=decoding,
        seeds_B=row_seeds(0, len(batch)),
        noise_BZ=noise_BZ,
    )


@torch.no_grad()
def reconstructed(generator: Generator, batch: Batch) -> Batch:
    """Each text as it is written from its posterior's mean, the likeliest token at a time."""
    return written(generator, batch, latent.likeliest(generator, batch))


@torch.no_grad()
def interpolated(generator: Generator, first: Batch, last: Batch, steps: int = STEPS) -> list[Batch]:
    """The texts from `first` to `last` at `steps` even steps between their posteriors' means, ends included."""
    from_BZ, to_BZ = (latent.likeliest(generator, batch) for batch in (first, last))
    return [written(generator, first, torch.lerp(from_BZ, to_BZ, float(share))) for share in np.linspace(0, 1, steps)]


@torch.no_grad()
def study(generator: Generator, batches: Iterable[Batch], tokenizer: Tokenizer) -> dict[str, Any]:
    """`latent_dim`, `active_units`, `kl` (nats a text) and `kept` (share of a text's tokens that its reconstruction has
    at the same place) over held-out text; then a few `reconstructions` and `interpolations` in words."""
    generator.eval()
    device = next(generator.parameters()).device
    means, divergence, kept, counts = [], 0.0, 0, 0
    shown: list[Batch] = []
    for batch in (each.to(device) for each in batches):
        means.append(latent.posterior(generator, batch)[0])
        divergence += float(latent.inferred(generator, batch)[1].sum())
        again = reconstructed(generator, batch)
        width = min(again.tokens_BT.shape[1], batch.tokens_BT.shape[1])
        same_BT = (again.tokens_BT[:, :width] == batch.tokens_BT[:, :width]) & batch.target_BT[:, :width]
        kept, counts = kept + int(same_BT.sum()), counts + int(batch.target_BT.sum())
        shown = shown or [batch, again]
    real, again = shown
    pairs = torch.arange(min(len(real), 2 * NUM_SHOWN) // 2 * 2, device=device).unflatten(0, (-1, 2))
    path = interpolated(generator, real.rows(pairs[:, 0]), real.rows(pairs[:, 1]))
    return {
        "latent_dim": latent.noise_dim(generator),
        "active_units": latent.active_units(torch.cat(means)),
        "kl": divergence / sum(map(len, means)),
        "kept": kept / counts,
        "reconstructions": list(zip(_words(real, tokenizer), _words(again, tokenizer), strict=True))[:NUM_SHOWN],
        "interpolations": [list(texts) for texts in zip(*(_words(batch, tokenizer) for batch in path), strict=True)],
    }


def _words(batch: Batch, tokenizer: Tokenizer) -> list[str]:
    """What was asked of a generator, in words."""
    new_BT = batch.target_BT & (batch.tokens_BT != EOS)
    return [tokenizer.decode(row[new].tolist()) for row, new in zip(batch.tokens_BT, new_BT, strict=True)]
