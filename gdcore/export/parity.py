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
from gdcore.sampling import complete
from gdcore.serving.runtime import Graph
from gdcore.shards import Shards
from gdcore.tokenizer import PAD
from gdcore.uniforms import row_seeds

BATCH_SIZE = 64
TOLERANCE = 1e-4
"""Largest difference allowed between two logits, or between two NLLs of a token."""
IDENTICAL = 0.99
"""Smallest share of sampled texts that must be the same: a draw within rounding of an edge may go either way."""
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
    """Greedy texts that first differ where two tokens are equally likely, to within rounding."""
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
            f"{one.decoding}: {one.identical} of {one.texts} texts identical (≥ {one.allowed:.0%})"
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
    for ours_T, target_T, theirs_N, length in zip(drawn.tokens_BT, drawn.target_BT, new_BN, prefix_B, strict=True):
        ours, theirs = _ids(ours_T[target_T]), [token for token in _ids(theirs_N) if token != PAD]
        agreement.texts += 1
        agreement.identical += ours == theirs
        if ours != theirs and decoding == GREEDY:
            agreement.ties += _is_tie(generator, _ids(ours_T[: int(length)]), ours, theirs)


def _ids(values: Tensor | np.ndarray) -> list[int]:
    return [int(value) for value in values]


def _is_tie(generator: Generator, given: list[int], ours: list[int], theirs: list[int]) -> bool:
    """Whether the first two tokens that differ have the same logit, to within what parity allows."""
    at = next((i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None)
    if at is None:
        return False
    logits_V = generator.logits(torch.tensor([given + ours[:at]]))[0, -1]
    return abs(float(logits_V[ours[at]] - logits_V[theirs[at]])) <= 2 * TOLERANCE
