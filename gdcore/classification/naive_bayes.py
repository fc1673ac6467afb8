"""Naive Bayes over words: the baseline that a classifier has to beat, in closed form.

McCallum & Nigam 1998, the multinomial model: a class is a distribution over tokens, add-α smoothed; P(class | text) is
proportional to P(class) Π P(token | class).

Shapes: N texts, V vocabulary, K classes.
"""

import numpy as np
from numpy.typing import NDArray

from gdcore.shards import Shards

SMOOTHINGS = (1.0, 0.3, 0.1, 0.03)


class NaiveBayes:
    """Fitted on the texts of a split and their classes."""

    def __init__(self, train: Shards, classes_N: NDArray[np.int64], num_classes: int, vocab_size: int, alpha: float):
        flat, offsets, _ = train.rows(np.arange(len(train)))
        cell = np.repeat(classes_N, np.diff(offsets)) * vocab_size + flat
        counts_KV = np.bincount(cell, minlength=num_classes * vocab_size).reshape(num_classes, vocab_size) + alpha
        self.tokens_KV = np.log(counts_KV) - np.log(counts_KV.sum(axis=1, keepdims=True))
        self.prior_K = np.log(np.bincount(classes_N, minlength=num_classes) / len(classes_N))

    def predict(self, texts: Shards) -> NDArray[np.int64]:
        """The likeliest class of each text `(N,)`."""
        flat, offsets, _ = texts.rows(np.arange(len(texts)))
        summed = np.concatenate([np.zeros((1, len(self.prior_K))), np.cumsum(self.tokens_KV.T[flat], axis=0)])
        return (summed[offsets[1:]] - summed[offsets[:-1]] + self.prior_K).argmax(axis=1)


def fitted(
    train: tuple[Shards, NDArray[np.int64]],
    valid: tuple[Shards, NDArray[np.int64]],
    num_classes: int,
    vocab_size: int,
) -> tuple[NaiveBayes, float]:
    """The machine whose smoothing does best on held-out texts, and that smoothing."""
    machines = [(NaiveBayes(*train, num_classes, vocab_size, alpha), alpha) for alpha in SMOOTHINGS]
    return max(machines, key=lambda each: float((each[0].predict(valid[0]) == valid[1]).mean()))
