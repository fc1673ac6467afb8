"""Reverse LM score of a neural model: a small GRU learns from samples alone, and real text is asked (Zhao et al. 2018).

As the reverse LM score of n-grams, over the same vocabulary, by a learner that generalises: it can use what is similar
without having been seen. It costs seconds a training instead of hundredths. The learner's size and budget are fixed, so
that only the samples differ; it is always trained on a fixed number of them, from the same random start.

Shape letters: N texts, T tokens of the longest, B texts of a batch, K tokens that are predicted.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.crossed import crossed
from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio, Rows, Sampling
from gdcore.evaluation.ngram_counts import Floats, Ints
from gdcore.evaluation.ngrams import Encoded, Vocabulary, sides
from gdcore.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

ABSENT = -1
"""What fills the rows of shorter texts."""


class Config(Settings):
    name: Literal["reverse_neural_lm"] = "reverse_neural_lm"
    size: int | None = Field(default=None, ge=1)
    """Samples that it is trained on, drawn without repetition. None: all."""
    draws: int = Field(default=3, ge=2)
    """Models trained, each on other samples; the figure is their average. So few tell the spread but roughly."""
    epochs: int = Field(default=10, ge=1)
    """How often the samples are gone through; the learning rate falls to 0 over them."""
    embedding_dim: int = Field(default=64, ge=1)
    hidden_dim: int = Field(default=64, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    learning_rate: float = Field(default=3e-3, gt=0)
    batch_size: int = Field(default=32, ge=1)


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`reverse_neural_lm`: Σ nll / Σ tokens of the references; the interval covers both sides' draws."""
    vocabulary, samples, references = sides(evidence)
    num_texts = len(evidence.samples)
    rows_RT, places_R = _rows(references)

    def measure(rows: Rows) -> Ratio:
        chosen_N = np.zeros(num_texts, np.bool_)
        chosen_N[rows] = True
        model = _trained(config, _rows(samples.of(chosen_N))[0], vocabulary, evidence.seed)
        nll_R = np.empty(len(rows_RT))
        nll_R[places_R] = _nll(model, rows_RT, config.batch_size * 8)
        return Ratio(nll_R, (evidence.reference_lengths + 1).astype(np.float64))

    sampling = Sampling(evidence.seed, subsamples=config.draws)
    return {"reverse_neural_lm": crossed(measure, num_texts, config.size, sampling, (0.0, np.inf))}


def _rows(texts: Encoded) -> tuple[Ints, Ints]:
    """Texts as rows (N,T), the short ones first and in an order of their own, and which text each row is: training and
    rounding must not depend on the order in which texts are given."""
    lengths_N = np.bincount(texts.text_T)
    rows_NT = np.full((len(lengths_N), lengths_N.max()), ABSENT)
    rows_NT[texts.text_T, texts.place_T] = texts.tokens_T
    order_N = np.lexsort((*rows_NT.T[::-1], lengths_N))
    return rows_NT[order_N], order_N


def _trained(config: Config, rows_NT: Ints, vocabulary: Vocabulary, seed: int) -> "nn.ModuleList":
    import torch  # seconds to import, and only this metric needs it
    from torch import nn

    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        torch.manual_seed(seed)
        embedding = nn.Embedding(vocabulary.bos + 1, config.embedding_dim)
        gru = nn.GRU(config.embedding_dim, config.hidden_dim, batch_first=True)
        model = nn.ModuleList(
            [embedding, gru, nn.Dropout(config.dropout), nn.Linear(config.hidden_dim, len(vocabulary))]
        )
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
        steps = config.epochs * -(-len(rows_NT) // config.batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        tokens_NT = torch.from_numpy(rows_NT)
        for _ in range(config.epochs):
            for chosen_B in torch.randperm(len(rows_NT)).split(config.batch_size):
                loss = _token_nll(model, tokens_NT[chosen_B])[0].mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
    return model.eval()


def _nll(model: "nn.ModuleList", rows_NT: Ints, batch_size: int) -> Floats:
    """Each text's NLL in nats, summed over its tokens: (N,)."""
    import torch

    with torch.no_grad():
        sums = [
            torch.zeros(len(tokens_BT), dtype=torch.float64).index_add(0, text_K, nll_K.double())
            for tokens_BT in torch.from_numpy(rows_NT).split(batch_size)
            for nll_K, text_K in [_token_nll(model, tokens_BT)]
        ]
    return torch.cat(sums).numpy()


def _token_nll(model: "nn.ModuleList", tokens_BT: "Tensor") -> "tuple[Tensor, Tensor]":
    """NLL (K,) of every token but BOS, and which text (K,) each is of."""
    from torch import nn

    embedding, gru, dropout, head = model
    tokens_BT = tokens_BT[:, : int((tokens_BT != ABSENT).sum(1).max())]
    targets_BT = tokens_BT[:, 1:]
    there_BT = targets_BT != ABSENT
    hidden_BTD = gru(dropout(embedding(tokens_BT[:, :-1].clamp(min=0))))[0]
    logits_KW = head(dropout(hidden_BTD[there_BT]))
    return nn.functional.cross_entropy(logits_KW, targets_BT[there_BT], reduction="none"), there_BT.nonzero()[:, 0]
