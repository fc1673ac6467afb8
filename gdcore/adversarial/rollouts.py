"""Monte-Carlo rewards: every prefix of a text written on several times, and what a judge says of the results.

Exact in what it estimates, and no more work than that takes: the prefixes of a text are read once, those of one length
are completed together, finished completions leave the batch, and past EOS there is nothing to complete.

Shapes: B texts, T tokens, N completions of a prefix, P prefixes, R = P·N rows, L of them still being written, V
vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gdcore.batches import Batch, make_batch
from gdcore.contracts import Generator, State
from gdcore.decoding import Decoding
from gdcore.networks import latent
from gdcore.sampling import pick
from gdcore.tokenizer import EOS, PAD

ROWS = 4096
"""Completions written at a time: bounds memory at ROWS × V logits."""


@torch.no_grad()
def rollout_rewards(generator: Generator, fake: Batch, judge: Callable[[Batch], Tensor], num_rollouts: int) -> Tensor:
    """Q `(B,T)`: at each token that counts the mean of `judge` over completions of the text up to and with it.

    The last token completes the text, so there Q is the verdict on the text itself. Elsewhere 0. Draws from torch's
    global generator; `judge` maps a batch to rewards `(B,)`. (SeqGAN, Yu et al. 2017, eq. 4.)
    """
    training = generator.training
    generator.eval()
    last_B = fake.mask_BT.sum(dim=1) - 1
    position_T = torch.arange(fake.tokens_BT.shape[1], device=fake.tokens_BT.device)
    rewards_BT = torch.where(position_T == last_B.unsqueeze(1), judge(fake).unsqueeze(1), 0.0)
    size = max(1, ROWS // num_rollouts)
    state = latent.begin(generator, fake.noise_BZ)
    for t in range(fake.tokens_BT.shape[1] - 1):
        # Prefixes of one length at a time: what some generators remember grows with it.
        begun_P = torch.nonzero(fake.target_BT[:, t] & (t < last_B)).flatten()
        for text_P in begun_P.split(size) if len(begun_P) else ():
            before = tuple(tensor[:, text_P] for tensor in state)
            completed = _completions(generator, fake, text_P, t, before, num_rollouts)
            rewards_BT[text_P, t] = judge(completed).view(-1, num_rollouts).mean(dim=1)
        _, state = generator.step(fake.tokens_BT[:, t], state)
    generator.train(training)
    return rewards_BT * fake.target_BT


def _completions(generator: Generator, fake: Batch, text_P: Tensor, at: int, state: State, num_rollouts: int) -> Batch:
    """Each prefix, which ends with the token at `at`, written on `num_rollouts` times; row p·N + n."""
    device, longest = fake.tokens_BT.device, generator.context
    logits_PV, state = generator.step(fake.tokens_BT[text_P, at], state)
    logits_RV = logits_PV.repeat_interleave(num_rollouts, dim=0)
    state = tuple(tensor.repeat_interleave(num_rollouts, dim=1) for tensor in state)
    text_R = text_P.repeat_interleave(num_rollouts)
    tokens_RT = torch.full((len(text_R), longest), PAD, device=device)
    tokens_RT[:, : at + 1] = fake.tokens_BT[text_R, : at + 1]

    lengths_R = torch.full_like(text_R, at + 1)
    row_L = torch.arange(len(text_R), device=device)  # which rows are still being written
    while len(row_L):
        token_L = pick(logits_RV, torch.rand(len(row_L), device=device), Decoding())
        tokens_RT[row_L, lengths_R[row_L]] = token_L
        lengths_R[row_L] += 1
        goes_on_L = (token_L != EOS) & (lengths_R[row_L] < longest)
        row_L, token_L = row_L[goes_on_L], token_L[goes_on_L]
        if len(row_L):
            logits_RV, state = generator.step(token_L, tuple(tensor[:, goes_on_L] for tensor in state))
    return make_batch(tokens_RT[:, : int(lengths_R.max())], lengths_R, fake.prompt_lengths_B[text_R])
