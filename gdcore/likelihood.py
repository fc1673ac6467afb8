"""How likely a generator finds texts: the loss of maximum likelihood, and held-out scores.

Shapes: B texts, T tokens, V vocabulary, K tokens that count.
"""

import math
from collections.abc import Generator as Generating
from collections.abc import Iterable, Iterator
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gdcore import ranks
from gdcore.batches import Batch
from gdcore.contracts import Generator, LatentGenerator, Loss
from gdcore.networks import latent
from gdcore.tokenizer import FORBIDDEN

CHUNK_LOGITS = 1 << 21
"""Logits computed at a time: 8 MB in single precision, which the system's allocator keeps and hands out again. Larger
blocks of ever new size go back to the system at each step, and a third of the time goes into clearing pages."""
KEPT_LOGITS = 1 << 26
"""Logits of a batch that are kept for the gradient, 256 MB in single precision. Of more none is kept: they are computed
again, so many at a time, and memory does not grow with texts × tokens × vocabulary."""


def chunk_size(generator: Generator) -> int:
    """For how many tokens at a time logits should be computed."""
    return max(64, CHUNK_LOGITS // generator.vocab_size)


def target_logprobs(generator: Generator, batch: Batch) -> Tensor:
    """Log-probabilities `(K,)` of the tokens that count, row by row; the softmax is paid for these tokens alone.

    Of a generator with latent variables: given each text's noise; where that is not known (real text), the evidence's
    lower bound, with one draw of the noise, the whole divergence being charged to each text's last token.
    """
    if not latent.noise_dim(generator) or batch.noise_BZ.shape[1]:
        return conditional_logprobs(generator, batch, batch.noise_BZ)
    noise_BZ, divergence_BZ = latent.inferred(generator, batch)
    counts_B = batch.target_BT.sum(dim=1)
    last_B = counts_B.cumsum(dim=0)[counts_B > 0] - 1
    return conditional_logprobs(generator, batch, noise_BZ).index_add(0, last_B, -divergence_BZ.sum(1)[counts_B > 0])


def conditional_logprobs(generator: Generator, batch: Batch, noise_BZ: Tensor) -> Tensor:
    """The same given each text's noise, of width 0 for a generator without latent variables."""

    def losses(hidden_KD: Tensor, ids_K: Tensor) -> Tensor:
        return nn.functional.cross_entropy(generator.head(hidden_KD).float(), ids_K, reduction="none")

    pieces = list(_features(generator, batch, noise_BZ))
    many = sum(len(ids_K) for _, ids_K in pieces) * generator.vocab_size > KEPT_LOGITS
    if many and torch.is_grad_enabled():
        again = partial(checkpoint, losses, use_reentrant=False, preserve_rng_state=False)
        return -torch.cat([cast(Tensor, again(*piece)) for piece in pieces])
    return -torch.cat([losses(*piece) for piece in pieces])


def _features(generator: Generator, batch: Batch, noise_BZ: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Features `(K,D)` that predict the tokens that count, and these `(K,)`, so many at a time."""
    hidden_BTD = latent.hidden(generator, batch.tokens_BT[:, :-1], noise_BZ)
    targets_BT = batch.target_BT[:, 1:]
    hidden_KD, chosen_K = hidden_BTD[targets_BT], batch.tokens_BT[:, 1:][targets_BT]
    size = chunk_size(generator)
    yield from zip(hidden_KD.split(size), chosen_K.split(size), strict=True)


def logprobs(generator: Generator, batch: Batch) -> Tensor:
    """Log-probabilities `(B,T)`: at `t` that of token `t` given those before it; zero on tokens that do not count."""
    return _placed(target_logprobs(generator, batch), batch)


def text_logprobs(generator: Generator, batch: Batch) -> Tensor:
    """The log-probability of each text `(B,)`.

    Of a generator with latent variables: the importance-weighted lower bound (`gdcore.networks.latent`), on real text.
    """
    if not latent.noise_dim(generator):
        return logprobs(generator, batch).sum(dim=1)
    weighted = [
        _placed(conditional_logprobs(generator, batch, noise_BZ), batch).sum(dim=1) + log_ratio_B
        for noise_BZ, log_ratio_B in latent.weighted_draws(generator, batch)
    ]
    return torch.stack(weighted).logsumexp(dim=0) - math.log(len(weighted))


def _placed(flat_K: Tensor, batch: Batch) -> Tensor:
    """Values of the tokens that count, each at its place in `(B,T)`."""
    return torch.zeros_like(batch.tokens_BT, dtype=flat_K.dtype).masked_scatter(batch.target_BT, flat_K)


def nll(generator: Generator, batch: Batch) -> Tensor:
    """Negative log-likelihood per token, in nats: the maximum-likelihood loss (scalar)."""
    return -ranks.mean(target_logprobs(generator, batch))


def pretraining_loss(generator: Generator, batch: Batch, step: int) -> Loss:
    """What maximum likelihood minimises, per token: the NLL, or what a generator has in its place."""
    if latent.noise_dim(generator):
        return cast(LatentGenerator, generator).pretraining_loss(batch, step)
    token_nll = nll(generator, batch)
    return token_nll, {"nll": token_nll}


def with_likelihood(loss: Tensor, logs: dict[str, Tensor], generator: Generator, batch: Batch, weight: float) -> Loss:
    """A generator's loss, and beside it the NLL of real text where that has a weight; logs it as `nll`."""
    if not weight:
        return loss, logs
    real_nll = nll(generator, batch)
    return loss + weight * real_nll, {**logs, "nll": real_nll}


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
        sums.append(-text_logprobs(generator, batch).double().cpu())
        counts.append(batch.target_BT.sum(dim=1).cpu())
    generator.train(training)
    return torch.cat(sums), torch.cat(counts)


@torch.no_grad()
def score_and_rank(generator: Generator, batches: Iterable[Batch]) -> tuple[Tensor, Tensor, Tensor]:
    """What `score` gives, of a generator without latent variables, and the rank of every token that counts `(P,)`.

    The rank is the number of tokens that were likelier, 0 for the likeliest; of equals the lower id comes first. Tokens
    that stand for no text are never a guess: they are likelier than none, and where one is the true token, all are
    likelier than it.
    """
    training = generator.training
    generator.eval()
    device = next(generator.parameters()).device
    sums: list[Tensor] = []
    counts: list[Tensor] = []
    ranks: list[Tensor] = []
    for batch in batches:
        batch = batch.to(device)
        losses: list[Tensor] = []
        for hidden_KD, ids_K in _features(generator, batch, batch.noise_BZ):
            logits_KV = generator.head(hidden_KD).float()
            losses.append(nn.functional.cross_entropy(logits_KV, ids_K, reduction="none"))
            ranks.append(_ranks(logits_KV, ids_K).cpu())
        sums.append(_placed(torch.cat(losses), batch).sum(dim=1).double().cpu())
        counts.append(batch.target_BT.sum(dim=1).cpu())
    generator.train(training)
    return torch.cat(sums), torch.cat(counts), torch.cat(ranks)


def _ranks(logits_KV: Tensor, ids_K: Tensor) -> Tensor:
    logits_KV[:, list(FORBIDDEN)] = -torch.inf
    true_K1 = logits_KV.gather(1, ids_K.unsqueeze(1))
    ranks_K = (logits_KV > true_K1).sum(dim=1, dtype=torch.int32)  # twice as fast as 64 bits
    tied_K = (logits_KV == true_K1).sum(dim=1, dtype=torch.int32) > 1
    sayable_K = true_K1.squeeze(1).isfinite()
    for row in (tied_K & sayable_K).nonzero().flatten().tolist():  # hardly any
        ranks_K[row] += (logits_KV[row, : ids_K[row]] == true_K1[row]).sum()
    return torch.where(sayable_K, ranks_K, logits_KV.shape[1]).long()


def held_out_nll(generator: Generator, batches: Iterable[Batch]) -> Generating[None, None, float]:
    """Held-out NLL per token, in nats: every real token weighs the same, PAD nothing. A look: it yields at each batch.

    Processes may have been given the same batches, or each its share.
    """
    both = torch.zeros(2, dtype=torch.float64, device=next(generator.parameters()).device)
    for batch in batches:
        sums_B, counts_B = score(generator, [batch])
        both += torch.stack([sums_B.sum(), counts_B.sum().double()]).to(both)
        yield
    total, count = ranks.total(both).tolist()
    return total / count
