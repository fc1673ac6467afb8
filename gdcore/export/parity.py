"""Does the bundle compute what torch computes? Measured on real texts, recorded, and asserted.

Shapes: B texts of a batch, T tokens, V vocabulary.
"""

from collections.abc import Generator as Steps
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gdcore.batches import Batch, collate, make_batch
from gdcore.contracts import Discriminator, Generator
from gdcore.decoding import Decoding
from gdcore.likelihood import logprobs
from gdcore.networks import latent
from gdcore.progress import Progress
from gdcore.sampling import complete, pick
from gdcore.serving.runtime import Graph
from gdcore.shards import Shards
from gdcore.tokenizer import PAD
from gdcore.uniforms import row_seeds, uniforms

BATCH_SIZE = 64
TOLERANCE = 1e-4
"""Largest difference allowed between two logits, or between two NLLs of a token."""
IDENTICAL = 0.99
"""Smallest share of sampled texts that must be the same, but for draws within rounding of an edge between two tokens,
which may go either way. The rest is for top-p and min-p, where a token at the limit may be in or out."""
GREEDY = Decoding(temperature=0)
SAMPLED = (
    Decoding(),
    Decoding(temperature=0.7),
    Decoding(top_k=40),
    Decoding(top_p=0.9),
    Decoding(min_p=0.1),
    Decoding(temperature=1.2, top_k=100, top_p=0.8),
)


class ParityError(RuntimeError):
    """The exported graphs do not compute what torch computes: a defect of the exporter, never to be shipped."""


@dataclass
class Difference:
    """The largest difference between pairs of numbers that should be equal."""

    compared: int = 0
    largest: float = 0.0
    allowed: float = TOLERANCE

    def add(self, ours: Tensor, theirs: np.ndarray) -> None:
        self.compared += theirs.size
        gap = np.abs(ours.numpy() - theirs)
        # NaN must not pass for the smaller number.
        self.largest = max(self.largest, float(np.nan_to_num(gap, nan=np.inf).max(initial=0)))

    @property
    def passed(self) -> bool:
        return self.largest <= self.allowed


@dataclass
class Agreement:
    """How many texts came out the same, token for token."""

    decoding: str
    texts: int = 0
    identical: int = 0
    ties: int = 0
    """Texts that first differ where rounding decides: between two tokens equally likely, or at the edge of a draw."""
    allowed: float = IDENTICAL

    @property
    def passed(self) -> bool:
        return self.identical + self.ties >= self.allowed * self.texts


@dataclass
class Parity:
    """What `parity.json` records."""

    texts: int
    logits: Difference = field(default_factory=Difference)
    nll: Difference = field(default_factory=Difference)
    discriminator: Difference = field(default_factory=Difference)
    greedy: Agreement = field(default_factory=lambda: Agreement(str(GREEDY), allowed=1.0))
    sampled: list[Agreement] = field(default_factory=lambda: [Agreement(str(decoding)) for decoding in SAMPLED])

    def check(self) -> None:
        """Raise ParityError, with the numbers, unless all is as it must be."""
        named = {"logits": self.logits, "nll": self.nll, "discriminator": self.discriminator}
        failed = [
            f"{name} differ by {one.largest:.3g} (≤ {one.allowed:g})" for name, one in named.items() if not one.passed
        ]
        failed += [
            f"{one.decoding}: {one.identical} of {one.texts} texts identical (≥ {one.allowed:.0%}), "
            f"{one.ties} others but for rounding"
            for one in (self.greedy, *self.sampled)
            if not one.passed
        ]
        if failed:
            raise ParityError(f"the exported graphs do not compute what torch computes: {'; '.join(failed)}")


def measure(
    bundle: Path, generator: Generator, discriminator: Discriminator | None, shards: Shards, num_texts: int
) -> Steps[Progress, None, Parity]:
    """Compare on `num_texts` texts of a split, or as many as fit the context; returns the figures.

    Logits are compared after a random prefix of each text, which is also what texts are then generated from.
    """
    model, generate = Graph(bundle / "model.onnx"), Graph(bundle / "generate.onnx")
    judge = Graph(bundle / "discriminator.onnx") if discriminator else None
    random = np.random.default_rng(0)
    rows = random.permutation(np.flatnonzero(shards.lengths_N + 3 <= generator.context))[:num_texts]
    parity = Parity(len(rows))
    with torch.no_grad():
        for start in range(0, len(rows), BATCH_SIZE):
            batch = collate(shards, rows[start : start + BATCH_SIZE])
            lengths_B = batch.mask_BT.sum(dim=1)
            prefix_B = torch.as_tensor(random.integers(1, lengths_B.numpy()))
            _compare_scores(parity, model, generator, batch, lengths_B, prefix_B)
            if discriminator and judge:
                _compare_verdicts(parity, judge, discriminator, batch, lengths_B)
                _compare_verdicts(parity, judge, discriminator, batch, prefix_B)
            seeds_B = row_seeds(1, len(batch), start)
            for decoding, agreement in zip((GREEDY, *SAMPLED), (parity.greedy, *parity.sampled), strict=True):
                _compare_texts(agreement, generate, generator, batch, prefix_B, decoding, seeds_B)
            yield Progress(start + len(batch), len(rows), "comparing with torch")
    return parity


def _compare_scores(
    parity: Parity, model: Graph, generator: Generator, batch: Batch, lengths_B: Tensor, prefix_B: Tensor
) -> None:
    tokens_BT = batch.tokens_BT
    (nll_BT,) = model(["nll"], tokens=tokens_BT.numpy(), lengths=lengths_B.numpy())
    whole = make_batch(tokens_BT, lengths_B, torch.ones_like(lengths_B))
    parity.nll.add(-logprobs(generator, whole), nll_BT)
    (next_BV,) = model(["next_logits"], tokens=tokens_BT.numpy(), lengths=prefix_B.numpy())
    noise_BZ = batch.noise_BZ
    if latent.noise_dim(generator):
        noise_BZ, _ = latent.inferred(generator, make_batch(tokens_BT, prefix_B, torch.ones_like(prefix_B)))
    at_prefix_BD = latent.hidden(generator, tokens_BT, noise_BZ)[torch.arange(len(batch)), prefix_B - 1]
    parity.logits.add(generator.head(at_prefix_BD), next_BV)


def _compare_verdicts(
    parity: Parity, judge: Graph, discriminator: Discriminator, batch: Batch, lengths_B: Tensor
) -> None:
    mask_BT = torch.arange(batch.tokens_BT.shape[1]) < lengths_B.unsqueeze(1)
    (logits_B,) = judge(["logits"], tokens=batch.tokens_BT.numpy(), lengths=lengths_B.numpy())
    parity.discriminator.add(discriminator(batch.tokens_BT, mask_BT), logits_B)


def _compare_texts(
    agreement: Agreement,
    generate: Graph,
    generator: Generator,
    batch: Batch,
    prefix_B: Tensor,
    decoding: Decoding,
    seeds_B: np.ndarray,
) -> None:
    given_BT = batch.tokens_BT[:, : int(prefix_B.max())]
    given_BT = given_BT.where(torch.arange(given_BT.shape[1]) < prefix_B.unsqueeze(1), PAD)
    drawn = complete(generator, given_BT, prefix_B, max_tokens=generator.context, decoding=decoding, seeds_B=seeds_B)
    (new_BN,) = generate(
        prompt_ids=given_BT.numpy(),
        prompt_lengths=prefix_B.numpy(),
        max_new_tokens=generator.context,
        temperature=np.float32(decoding.temperature),
        top_k=decoding.top_k,
        top_p=np.float32(decoding.top_p),
        min_p=np.float32(decoding.min_p),
        seeds=seeds_B,
    )
    for row, length in enumerate(prefix_B.tolist()):
        ours = _ids(drawn.tokens_BT[row][drawn.target_BT[row]])
        theirs = [token for token in _ids(new_BN[row]) if token != PAD]
        agreement.texts += 1
        agreement.identical += ours == theirs
        at = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None)
        if at is not None:
            seed_1 = seeds_B[row : row + 1]
            logits_V = _next_logits(generator, [*_ids(given_BT[row, :length]), *ours[:at]], seed_1)
            agreement.ties += _is_tie(logits_V, ours[at], theirs[at], decoding, uniforms(seed_1, at, 1))


def _ids(values: Tensor | np.ndarray) -> list[int]:
    return [int(value) for value in values]


def _next_logits(generator: Generator, ids: list[int], seed_1: np.ndarray) -> Tensor:
    """The logits (V,) after some tokens of the text of this seed."""
    tokens_1T = torch.tensor([ids])
    noise_1Z = latent.noise_of(generator, seed_1, tokens_1T.device)
    return generator.head(latent.hidden(generator, tokens_1T, noise_1Z)[:, -1])[0]


def _is_tie(logits_V: Tensor, ours: int, theirs: int, decoding: Decoding, uniform_11: np.ndarray) -> bool:
    """Whether, to within what parity allows, both tokens have the same logit; or the same place in the draw."""
    if decoding.temperature == 0:
        return abs(float(logits_V[ours] - logits_V[theirs])) <= 2 * TOLERANCE
    if decoding.top_p < 1 or decoding.min_p > 0:  # a token refused is drawn anew from other bits
        return False
    reach_2 = torch.from_numpy(uniform_11[0] + np.array([-TOLERANCE, TOLERANCE], np.float32)).clamp(0, 1 - 2**-24)
    first, last = _ids(pick(logits_V.expand(2, -1).clone(), reach_2, decoding))
    return first <= theirs <= last
