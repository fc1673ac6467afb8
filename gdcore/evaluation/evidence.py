"""What a metric may look at: texts of both sides, training text, likelihoods; n-grams are counted once for all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from typing_extensions import TypedDict

from gdcore.corpora.exact import Verdict
from gdcore.evaluation.intervals import Ratio, Values
from gdcore.evaluation.ngram_counts import Counts, Ints, Postings

Texts = Sequence[Sequence[str]]
T = TypeVar("T")


class Exhibit(TypedDict):
    """Texts that show what a figure means: a table for people, each row as long as `columns`."""

    title: str
    about: str
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Training:
    """What a generator learnt from."""

    known: frozenset[str]
    """Every training text, `joined`."""
    texts: Texts
    """As many of them as the protocol looks through one by one, drawn at random."""


@dataclass(frozen=True)
class NextTokens:
    """How a generator guesses each next token of held-out text; P tokens that count, text by text."""

    ranks_P: Ints
    """How many tokens the generator found likelier than the true one: 0 where its first guess was right."""
    text_P: Ints
    """Which text each token belongs to."""
    ngram_ranks: Callable[[int], Ints]
    """The same of a Kneser–Ney model of that order over the same tokens and training text."""


@dataclass(frozen=True)
class Likelihoods:
    """What a generator itself says of real text, at temperature 1."""

    held_out: Ratio
    """Per held-out text its NLL in nats, summed over its tokens (EOS among them), and their number."""
    bytes_N: Values
    """Each held-out text's length in UTF-8 bytes."""
    train: Ratio | None = None
    """The same of some training texts."""
    next_tokens: NextTokens | None = None
    """Guesses at the held-out texts' tokens; a generator with latent variables has none."""
    tempered: Ratio | None = None
    """As `held_out`, but of the distribution that these samples come from: at their temperature."""


@dataclass(frozen=True)
class Evidence:
    """Samples (N texts) and real texts (R) to hold them against, as lists of units (`gdcore.evaluation.words`)."""

    samples: Texts
    references: Texts
    train: Training | None = None
    """What the generator learnt from, where known."""
    likelihoods: Likelihoods | None = None
    """Where a generator is at hand."""
    seed: int = 0
    """Of whatever a metric draws at random."""
    of_references: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """What was worked out from the references alone; a judge of several sets of samples keeps it."""
    of_both: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    answers: Sequence[Texts] | None = None
    """To each sample the real answers to its prompt, where samples answer prompts."""
    oracle: Callable[[], Verdict] | None = None
    """What the distribution that real text was drawn from says of the samples, where there is such a one."""

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made once for these references; it must not look at the samples."""
        if key not in self.of_references:
            self.of_references[key] = make()
        return self.of_references[key]

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made once for these samples and references: two metrics may need the same thing."""
        if key not in self.of_both:
            self.of_both[key] = make()
        return self.of_both[key]

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
