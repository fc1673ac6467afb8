"""What a metric may look at: texts of both sides, training text, likelihoods; n-grams are counted once for all."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gdcore.intervals import Ratio
from gdcore.ngram_counts import Counts, Ints, Postings

Texts = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Evidence:
    """Samples (N texts) and the real texts (R) they are held against. Texts are lists of units (see `gdcore.words`)."""

    samples: Texts
    references: Texts
    train: frozenset[str] | None = None
    """The texts that the generator learnt from, each `joined`, where known."""
    nll: Ratio | None = None
    """Held-out texts' summed NLL under the generator and their numbers of tokens, where a generator is at hand."""

    @cached_property
    def counts(self) -> Counts:
        """Samples first, references behind them: one numbering of n-grams for both."""
        return Counts([*self.samples, *self.references])

    @property
    def sample_lengths(self) -> Ints:
        return self.counts.lengths_N[: len(self.samples)]

    @property
    def reference_lengths(self) -> Ints:
        return self.counts.lengths_N[len(self.samples) :]

    def sample_postings(self, order: int) -> Postings:
        return self.counts.postings(order).of(np.arange(len(self.counts)) < len(self.samples))

    def reference_postings(self, order: int) -> Postings:
        """Text numbers go on from the samples'."""
        return self.counts.postings(order).of(np.arange(len(self.counts)) >= len(self.samples))


def joined(texts: Texts) -> list[str]:
    """One string a text; equal strings mean equal units."""
    return ["\x1f".join(text) for text in texts]
