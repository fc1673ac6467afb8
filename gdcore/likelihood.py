"""How likely a generator finds texts: the loss of maximum likelihood, and held-out scores.

Shapes: B texts, T tokens, V vocabulary, K tokens that count.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from gdcore.batches import Batch
from gdcore.contracts import Generator

CHUNK_LOGITS = 1 << 21
"""Logits computed at a time: 8 MB in single precision, which the system's allocator keeps and hands out again. Larger
blocks of ever new size go back to the system at each step, and a third of the time goes into clearing pages."""


def chunk_size(generator: Generator) -> int:
    """For how many tokens at a time logits should be computed."""
    return max(64, CHUNK_LOGITS // generator.vocab_size)


def target_logprobs(generator: Generator, batch: Batch) -> Tensor:
    """Log-probabilities `(K,)` of the tokens that count, row by row; the softmax is paid for these tokens alone."""
    hidden_BTD = generator.hidden(batch.tokens_BT[:, :-1])
    targets_BT = batch.target_BT[:, 1:]
    hidden_KD, chosen_K = hidden_BTD[targets_BT], batch.tokens_BT[:, 1:][targets_BT]
    size = chunk_size(generator)
    chunks = zip(hidden_KD.split(size), chosen_K.split(size), strict=True)
    losses = [nn.functional.cross_entropy(generator.head(each).float(), ids, reduction="none") for each, ids in chunks]
    return -torch.cat(losses)


def logprobs(generator: Generator, batch: Batch) -> Tensor:
    """Log-probabilities `(B,T)`: at `t` that of token `t` given those before it; zero on tokens that do not count."""
    flat_K = target_logprobs(generator, batch)
    return torch.zeros_like(batch.tokens_BT, dtype=flat_K.dtype).masked_scatter(batch.target_BT, flat_K)


def nll(generator: Generator, batch: Batch) -> Tensor:
    """Negative log-likelihood per token, in nats: the maximum-likelihood loss (scalar)."""
    return -target_logprobs(generator, batch).mean()


@torch.no_grad()
def score(generator: Generator, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Per text, the summed NLL in nats `(N,)` and the number of tokens that count `(N,)`, in the order read.

    The generator is in evaluation mode meanwhile, and as it was afterwards.
    """
    training = generator.training
    generator.eval()
    device = next(generator.parameters()).device
    sums, counts = [], []
    for batch in batches:
        batch = batch.to(device)
        sums.append(-logprobs(generator, batch).sum(dim=1).double().cpu())
        counts.append(batch.target_BT.sum(dim=1).cpu())
    generator.train(training)
    return torch.cat(sums), torch.cat(counts)


def held_out_nll(generator: Generator, batches: Iterable[Batch]) -> float:
    """Held-out NLL per token, in nats: every real token weighs the same, PAD nothing."""
    sums_N, counts_N = score(generator, batches)
    return float(sums_N.sum() / counts_N.sum())
