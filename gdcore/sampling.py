"""The one sampler: every text that gdflow draws from a torch generator comes from here.

A text's n-th new token is drawn by inverse CDF from number n of the text's own seed (`gdcore.uniforms`), so a text does
not depend on the batch it is drawn in, and the exported graph draws the same one.

Shapes: B texts, R texts still being written, T tokens, V vocabulary.
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from gdcore.batches import Batch, make_batch
from gdcore.contracts import Generator
from gdcore.settings import Settings
from gdcore.tokenizer import BOS, EOS, PAD, SEP, UNK
from gdcore.uniforms import row_seeds, uniforms

FORBIDDEN = (PAD, BOS, UNK, SEP)
"""Tokens that stand for no text: never drawn."""


class Decoding(Settings):
    """How the next token is drawn from the generator's logits."""

    temperature: float = Field(1.0, ge=0)
    """Logits are divided by it; 1 samples the model as it is, 0 takes the likeliest token."""
    top_k: int = Field(0, ge=0)
    """Draw among this many likeliest tokens only; 0 means all."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Draw among the likeliest tokens that together hold this probability only."""

    def __str__(self) -> str:
        parts = ["greedy" if self.temperature == 0 else f"T={self.temperature:g}"]
        parts += [f"top-k {self.top_k}"] if self.top_k else []
        parts += [f"top-p {self.top_p:g}"] if self.top_p < 1 else []
        return ", ".join(parts)


def pick(logits_BV: Tensor, uniform_B: Tensor, decoding: Decoding) -> Tensor:
    """The next token `(B,)`: the first, in vocabulary order, at which the cumulative mass exceeds the uniform number.

    Top-k keeps the k largest logits (of equals, the lower id); top-p then keeps a token if the strictly likelier ones
    hold less than p of what is left (Holtzman et al. 2020).
    """
    logits_BV = logits_BV.float()
    logits_BV[:, list(FORBIDDEN)] = -torch.inf
    if decoding.temperature == 0:
        return logits_BV.argmax(dim=-1)
    logits_BV = logits_BV / decoding.temperature
    if 0 < decoding.top_k < logits_BV.shape[-1]:
        order_BV = logits_BV.argsort(dim=-1, descending=True, stable=True)
        logits_BV = logits_BV.scatter(-1, order_BV[:, decoding.top_k :], -torch.inf)
    mass_BV = torch.exp(logits_BV - logits_BV.amax(dim=-1, keepdim=True))
    if decoding.top_p < 1:
        mass_BV = mass_BV * _nucleus(mass_BV, decoding.top_p)
    cumulative_BV = mass_BV.cumsum(dim=-1)
    threshold_B1 = uniform_B.unsqueeze(1) * cumulative_BV[:, -1:]
    token_B = torch.searchsorted(cumulative_BV, threshold_B1, right=True).squeeze(1)
    # Rounding may leave the threshold at the total itself: then the last token that has any mass.
    last_B = cumulative_BV.argmax(dim=-1)
    return torch.minimum(token_B, last_B)


def _nucleus(mass_BV: Tensor, top_p: float) -> Tensor:
    """Which tokens (bool) belong to the nucleus: the mass of the strictly likelier ones is below p of the total."""
    sorted_BV = mass_BV.sort(dim=-1, descending=True).values
    before_BV = sorted_BV.cumsum(dim=-1) - sorted_BV
    inside_BV = before_BV < top_p * sorted_BV.sum(dim=-1, keepdim=True)
    least_B1 = sorted_BV.gather(-1, inside_BV.sum(dim=-1, keepdim=True) - 1)
    return mass_BV >= least_B1


@torch.no_grad()
def complete(
    generator: Generator, given_BT: Tensor, prompt_lengths_B: Tensor, *, max_tokens: int, decoding: Decoding, seeds_B: np.ndarray
) -> Batch:
    """Write on from what is given (BOS, prompt and SEP, right-padded) until EOS, `max_tokens` or the context's end.

    The generator is in evaluation mode meanwhile; finished texts leave the batch, so that nothing is paid past EOS.
    """
    training = generator.training
    generator.eval()
    device, num = given_BT.device, len(given_BT)
    limit_B = (prompt_lengths_B + max_tokens).clamp(max=generator.context)
    longest = int(limit_B.max())
    tokens_BT = torch.full((num, longest), PAD, dtype=torch.long, device=device)
    width = min(given_BT.shape[1], longest)
    tokens_BT[:, :width] = given_BT[:, :width]
    lengths_B = prompt_lengths_B.clone()
    uniform_BT = torch.from_numpy(uniforms(seeds_B, 0, min(max_tokens, longest))).to(device)

    state = generator.initial_state(num, device)
    row_R = torch.arange(num, device=device)  # which texts are still being written
    for t in range(longest - 1):
        writing_R = t + 1 < limit_B[row_R]
        if not bool(writing_R.all()):
            row_R, state = row_R[writing_R], tuple(tensor[:, writing_R] for tensor in state)
        logits_RV, state = generator.step(tokens_BT[row_R, t], state)
        new_R = t + 1 - prompt_lengths_B[row_R]
        drawn_R = pick(logits_RV, uniform_BT[row_R, new_R.clamp(min=0)], decoding)
        drawn_R = torch.where(new_R >= 0, drawn_R, tokens_BT[row_R, t + 1])  # still inside the prompt
        tokens_BT[row_R, t + 1] = drawn_R
        lengths_B[row_R] = torch.maximum(lengths_B[row_R], torch.full_like(row_R, t + 2))
        live_R = (drawn_R != EOS) | (new_R < 0)
        if not bool(live_R.any()):
            break
        if not bool(live_R.all()):
            row_R, state = row_R[live_R], tuple(tensor[:, live_R] for tensor in state)
    generator.train(training)
    return make_batch(tokens_BT[:, : int(lengths_B.max())], lengths_B, prompt_lengths_B)


def complete_batch(generator: Generator, batch: Batch, decoding: Decoding | None = None) -> Batch:
    """One fresh text for each text of a batch, from the same prompt; seeded from torch's global generator."""
    seed = int(torch.randint(2**62, (1,)))
    given_BT = torch.where(batch.mask_BT & ~batch.target_BT, batch.tokens_BT, PAD)
    return complete(
        generator,
        given_BT,
        batch.prompt_lengths_B,
        max_tokens=generator.context,
        decoding=decoding or Decoding(),
        seeds_B=row_seeds(seed, len(batch)),
    )


def sample(
    generator: Generator,
    num: int,
    *,
    seed: int,
    decoding: Decoding | None = None,
    prompts: Sequence[Sequence[int]] | None = None,
    max_tokens: int | None = None,
    batch_size: int = 512,
) -> list[list[int]]:
    """`num` texts as ids, without special tokens; text i answers prompt `i % len(prompts)` where prompts are given."""
    device = next(generator.parameters()).device
    texts: list[list[int]] = []
    for start in range(0, num, batch_size):
        rows = range(start, min(start + batch_size, num))
        given = [[BOS, *prompts[i % len(prompts)], SEP] if prompts else [BOS] for i in rows]
        prompt_lengths_B = torch.tensor([len(ids) for ids in given], device=device)
        if int(prompt_lengths_B.max()) >= generator.context:
            raise ValueError(f"a prompt takes {int(prompt_lengths_B.max())} tokens; the context holds {generator.context}")
        given_BT = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(ids, device=device) for ids in given], batch_first=True, padding_value=PAD
        )
        drawn = complete(
            generator,
            given_BT,
            prompt_lengths_B,
            max_tokens=max_tokens or generator.context,
            decoding=decoding or Decoding(),
            seeds_B=row_seeds(seed, len(rows), start),
        )
        new_BT = (drawn.target_BT & (drawn.tokens_BT != EOS)).cpu().numpy()
        texts += [ids[new].tolist() for ids, new in zip(drawn.tokens_BT.cpu().numpy(), new_BT, strict=True)]
    return texts
