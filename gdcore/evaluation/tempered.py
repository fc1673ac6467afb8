"""Held-out NLL under a decoding: of the distribution that the sampler draws from, not of the model as it is.

Shapes: K tokens that count, V vocabulary.
"""

from typing import Any

import torch
from torch import nn

from gdcore.batches import ordered_batches
from gdcore.decoding import Decoding
from gdcore.evaluation.intervals import Ratio
from gdcore.likelihood import chunk_size
from gdcore.networks import latent
from gdcore.shards import Shards
from gdcore.tokenizer import EOS, FORBIDDEN


@torch.no_grad()
def tempered_nll(
    generator: Any, shards: Shards, decoding: Decoding, *, ends: bool = True, batch_size: int = 64
) -> Ratio | None:
    """Per text the NLL in nats, summed over its tokens, and their number; at the decoding's temperature.

    None where it cannot be told: a decoding that leaves tokens out gives some texts no probability, of a choice among
    candidates it is unknown, and of a generator with latent variables only bounded. The sampler never draws special
    tokens, so they have no part in the softmax; a token that is one (an unknown word) is not counted. Where texts
    cannot but have the length that they have (`ends` is False), EOS has no part in it either: what is scored is the
    model given that length, a word at a time.
    """
    whole = decoding == Decoding(temperature=decoding.temperature)
    if not whole or not decoding.temperature or latent.noise_dim(generator):
        return None
    generator.eval()
    device = next(generator.parameters()).device
    never = torch.tensor([*FORBIDDEN, *([] if ends else [EOS])], device=device)
    sums, counts = [], []
    for batch in ordered_batches(shards, batch_size):
        batch = batch.to(device)
        chosen_BT = batch.tokens_BT[:, 1:]
        counts_BT = batch.target_BT[:, 1:] & ~torch.isin(chosen_BT, never)
        hidden_KD = latent.hidden(generator, batch.tokens_BT[:, :-1], batch.noise_BZ)[counts_BT]
        size = chunk_size(generator)
        losses = [
            nn.functional.cross_entropy(
                generator.head(each_KD).float().index_fill(1, never, -torch.inf) / decoding.temperature,
                ids_K,
                reduction="none",
            )
            for each_KD, ids_K in zip(hidden_KD.split(size), chosen_BT[counts_BT].split(size), strict=True)
        ]
        nll_BT = torch.zeros_like(chosen_BT, dtype=torch.float32).masked_scatter(counts_BT, torch.cat(losses))
        sums.append(nll_BT.double().sum(dim=1).cpu())
        counts.append(counts_BT.sum(dim=1).double().cpu())
    return Ratio(torch.cat(sums).numpy(), torch.cat(counts).numpy())
