"""Real texts of which a span was replaced by what a generator writes there: what a CRF learns from.

As in span corruption for detectors of replaced tokens (after Clark et al. 2020, ELECTRA, and Donahue et al. 2020): the
generator goes on from the span's left side and does not see its right, so the seam there is a clue too.

Shapes: B texts, T tokens.
"""

import torch
from torch import Tensor

from gdcore.batches import Batch, make_batch
from gdcore.contracts import Generator
from gdcore.decoding import Decoding
from gdcore.networks import latent
from gdcore.sampling import complete
from gdcore.tokenizer import EOS, PAD
from gdcore.uniforms import row_seeds


@torch.no_grad()
def corrupt(generator: Generator, batch: Batch, share: float = 0.5) -> tuple[Batch, Tensor]:
    """Replace one span of each text; returns the texts and `(B,T)` labels: 0 on the generator's tokens, 1 elsewhere.

    A span has between one token and `share` of the text's, prompt and EOS never among them; its place and length are
    drawn from torch's global generator. A text that the generator would end at once stays as it is, all real. One with
    latent variables writes from noise drawn from the text's posterior, so that a span is of its text's kind.
    """
    lengths_B, given_B = batch.mask_BT.sum(dim=1), batch.prompt_lengths_B
    has_eos_B = batch.tokens_BT.gather(1, lengths_B.unsqueeze(1) - 1).squeeze(1) == EOS
    open_B = lengths_B - given_B - has_eos_B.long()
    drawn_2B = torch.rand(2, len(batch), dtype=torch.float64).to(lengths_B.device)
    most_B = torch.minimum((share * open_B).long().clamp(min=1), open_B)
    size_B = torch.minimum((drawn_2B[0] * most_B).long() + 1, open_B)
    start_B = given_B + (drawn_2B[1] * (open_B - size_B + 1)).long()
    written_BT, written_B = _written(generator, batch, start_B, size_B)
    size_B = torch.where(written_B > 0, size_B, 0)
    return _spliced(batch, lengths_B, start_B, size_B, written_BT, written_B)


def _written(generator: Generator, batch: Batch, start_B: Tensor, size_B: Tensor) -> tuple[Tensor, Tensor]:
    """What the generator writes from `start_B` on `(B,T)`, and how many tokens of it fill the span `(B,)`."""
    position_T = torch.arange(batch.tokens_BT.shape[1], device=start_B.device)
    seed = int(torch.randint(2**62, (1,)))
    fake = complete(
        generator,
        torch.where(position_T < start_B.unsqueeze(1), batch.tokens_BT, PAD),
        start_B,
        max_tokens=int(size_B.max().clamp(min=1)),
        decoding=Decoding(),
        seeds_B=row_seeds(seed, len(batch)),
        noise_BZ=latent.inferred(generator, batch)[0] if latent.noise_dim(generator) else None,
    )
    new_B = (fake.target_BT & (fake.tokens_BT != EOS)).sum(dim=1)
    return fake.tokens_BT, torch.minimum(new_B, size_B)


def _spliced(
    batch: Batch, lengths_B: Tensor, start_B: Tensor, size_B: Tensor, written_BT: Tensor, written_B: Tensor
) -> tuple[Batch, Tensor]:
    """Each text with `size_B` of its tokens from `start_B` on replaced by the first `written_B` of those written."""
    new_lengths_B = lengths_B - size_B + written_B
    position_1T = torch.arange(int(new_lengths_B.max()), device=start_B.device).unsqueeze(0)
    start_B1, end_B1 = start_B.unsqueeze(1), (start_B + written_B).unsqueeze(1)
    behind_BT = position_1T >= end_B1
    fake_BT = (position_1T >= start_B1) & ~behind_BT
    from_real_BT = torch.where(behind_BT, position_1T + (size_B - written_B).unsqueeze(1), position_1T)
    real_BT = batch.tokens_BT.gather(1, from_real_BT.clamp(max=batch.tokens_BT.shape[1] - 1))
    from_fake_BT = position_1T.expand_as(real_BT).clamp(max=written_BT.shape[1] - 1)
    tokens_BT = torch.where(fake_BT, written_BT.gather(1, from_fake_BT), real_BT)
    tokens_BT = torch.where(position_1T < new_lengths_B.unsqueeze(1), tokens_BT, PAD)
    return make_batch(tokens_BT, new_lengths_B, batch.prompt_lengths_B), (~fake_BT).long()
