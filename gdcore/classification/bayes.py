"""A generator as a classifier, by Bayes' rule: P(class | text) ∝ P(text | class) P(class).

One language model learns to write the texts of every class, told which one by a token of the class' own where a prompt
would stand: BOS class SEP text EOS. Asked for the class of a text, it says how likely it finds the text under each (Ng
and Jordan 2002; for texts and recurrent networks Yogatama et al. 2017, where the class enters at the softmax instead).
It learns what texts are like, and not only what parts the classes; theory has it that such a machine needs fewer
examples, and is passed by a discriminative one as they become more.

Shapes: B texts, T tokens, V words, K classes, S texts of all classes together.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gdcore.batches import Batch, BatchStream, collate, make_batch
from gdcore.contracts import Generator
from gdcore.likelihood import text_logprobs
from gdcore.shards import Shards
from gdcore.tokenizer import SEP
from gdcore.training.checkpoint import build_generator

SCORED = 2048
"""Texts, each under one class, that are scored at a time."""


def under(batch: Batch, label_B: Tensor) -> Batch:
    """The same texts, each told by a token that stands for its class: BOS class SEP [prompt SEP] text EOS."""
    told_B2 = torch.stack([label_B, torch.full_like(label_B, SEP)], dim=1)
    tokens_BT = torch.cat([batch.tokens_BT[:, :1], told_B2, batch.tokens_BT[:, 1:]], dim=1)
    return make_batch(tokens_BT, batch.mask_BT.sum(dim=1) + 2, batch.prompt_lengths_B + 2)


class LabelledStream(BatchStream):
    """Batches of texts told by their classes; class k is the token `first + k`."""

    def __init__(self, shards: Shards, label_N: np.ndarray, first: int, batch_size: int, seed: int) -> None:
        super().__init__(shards, batch_size, seed)
        self.told_N = label_N + first

    def __next__(self) -> Batch:
        rows = self.next_rows()
        return under(collate(self.shards, rows), torch.from_numpy(self.told_N[rows]))


class BayesClassifier(nn.Module):
    """A generator of V + K tokens, of which the last K are the classes, and how frequent each class is."""

    def __init__(self, generator: Generator, classes_K: np.ndarray) -> None:
        super().__init__()
        self.generator: Any = generator
        self.config, self.num_classes = generator.config, len(classes_K)
        self.vocab_size = generator.vocab_size - self.num_classes
        self.register_buffer("prior_K", torch.from_numpy(np.log(classes_K / classes_K.sum())).float())

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """log P(text | class) + log P(class) `(B,K)`, in nats, of ids `(B,T)`."""
        is_sep_BT = inputs == SEP
        given_B = torch.where(is_sep_BT.any(dim=1), is_sep_BT.int().argmax(dim=1) + 1, 1)
        batch = make_batch(inputs, mask_BT.sum(dim=1), given_B)
        size = max(1, SCORED // self.num_classes)
        parts = [self._logits(batch.rows(rows)) for rows in torch.arange(len(batch), device=inputs.device).split(size)]
        return torch.cat(parts) + self.get_buffer("prior_K")

    def _logits(self, batch: Batch) -> Tensor:
        label_S = torch.arange(self.num_classes, device=batch.tokens_BT.device).repeat(len(batch)) + self.vocab_size
        told = under(batch.repeated(self.num_classes), label_S)
        return text_logprobs(self.generator, told).reshape(len(batch), self.num_classes)


def build_bayes(config: Any, vocab_size: int, context: int, classes_K: np.ndarray) -> BayesClassifier:
    """A classifier by a generator of this configuration; `classes_K` counts the texts of each class."""
    return BayesClassifier(build_generator(config, vocab_size + len(classes_K), context + 2), classes_K)
