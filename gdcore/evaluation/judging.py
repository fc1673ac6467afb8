"""Texts against texts, under a named protocol: the part of evaluation that needs no model."""

import hashlib
from collections.abc import Collection, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypedDict, TypeVar

import numpy as np

from gdcore.corpora.exact import ExactSource
from gdcore.errors import UserError
from gdcore.evaluation.cautions import cautions
from gdcore.evaluation.evidence import Evidence, Exhibit, Likelihoods, Training, joined
from gdcore.evaluation.intervals import Figure, Measurement, figures
from gdcore.evaluation.protocol import Draw, Protocol
from gdcore.evaluation.protocol import load as load_protocol
from gdcore.evaluation.words import DESCRIPTION, Splitter, split, splitter_for
from gdcore.plugins import load as load_plugin

T = TypeVar("T")

PART = 100_000
"""Texts cut into words at a time."""


class Result(TypedDict):
    """What one set of samples is worth."""

    protocol: str
    """The protocol's id; figures of different ids must never be compared."""
    counts: dict[str, Any]
    warnings: list[str]
    metrics: dict[str, Figure]
    exhibits: list[Exhibit]


class Judge:
    """Real texts, made ready once to hold any number of sets of samples against them."""

    def __init__(
        self,
        references: Sequence[str],
        train: Sequence[str] | None = None,
        protocol: str | Protocol = "gdflow",
        oracle: ExactSource | None = None,
    ):
        """`oracle`: what the references were drawn from, where that is known. Raises UserError where none has text."""
        self.oracle = oracle
        self.protocol = protocol if isinstance(protocol, Protocol) else load_protocol(protocol)
        real = [text for text in references if text.strip()]
        if not real:
            raise UserError("the references hold no text; expected at least one that is not empty")
        drawn = self._at_most(real, self.protocol.references, self.protocol.draw)
        script = splitter_for(drawn)
        self.unspaced = script == "characters"
        self.how: Splitter = script if self.protocol.words == "auto" else self.protocol.words
        self.references = self._units(drawn)
        self.train = None if train is None else self._training(train)
        self.num_train = None if train is None else len(train)
        self._of_references: dict[str, Any] = {}

    def __call__(
        self,
        samples: Sequence[str],
        likelihoods: Likelihoods | None = None,
        *,
        answers: Sequence[Sequence[str]] | None = None,
        only: Collection[str] = (),
    ) -> Result:
        """Judge one set of samples; empty ones score 0, and a warning counts them.

        `answers` are what people answered to each sample's prompt, where it has one. `only` these metrics of the
        protocol, where any are named: each is what it would be beside the others.
        """
        judged = self._at_most(samples, self.protocol.samples, self.protocol.draw)
        units = self._units(judged)
        evidence = Evidence(
            units,
            self.references,
            self.train,
            likelihoods,
            self.protocol.seed,
            self._of_references,
            answers=None if answers is None else self._answers(answers),
            oracle=partial(self.oracle.judge, judged) if self.oracle else None,
        )
        measured: dict[str, Measurement] = {}
        exhibits: list[Exhibit] = []
        for name, config in self.protocol.metrics.items():
            if only and name not in only:
                continue
            metric = load_plugin("metrics", name)
            measured |= metric.score(config, evidence)
            if hasattr(metric, "exhibits"):
                exhibits += metric.exhibits(config, evidence)
        counts = {
            "samples": len(units),
            "references": len(self.references),
            "train": self.num_train,
            "empty": sum(not text for text in units),
            "tokens": int(evidence.sample_lengths.sum()),
            "words": DESCRIPTION[self.how],
        }
        return {
            "protocol": self.protocol.id,
            "counts": counts,
            "warnings": cautions(self.protocol, counts, evidence, self.unspaced),
            "metrics": figures(measured, self.protocol.sampling),
            "exhibits": exhibits,
        }

    def _units(self, texts: Sequence[str]) -> list[list[str]]:
        return split([text.lower() for text in texts] if self.protocol.lowercase else texts, self.how)

    def _answers(self, answers: Sequence[Sequence[str]]) -> list[list[list[str]]]:
        """Of the samples that are judged: as many are drawn, in the same way, and so the same ones."""
        return [self._units(each) for each in self._at_most(answers, self.protocol.samples, self.protocol.draw)]

    def _training(self, texts: Sequence[str]) -> Training:
        """Texts as metrics look them up; a part at a time, since a training corpus may be large."""
        parts = (texts[start : start + PART] for start in range(0, len(texts), PART))
        known = frozenset(chain.from_iterable(joined(self._units(part)) for part in parts))
        return Training(known, self._units(self._at_most(texts, self.protocol.train)))

    def _at_most(self, texts: Sequence[T], number: int | None, draw: Draw = "random") -> list[T]:
        """All texts, or so many of them: the first, or drawn at random and in their order."""
        if number is None or len(texts) <= number:
            return list(texts)
        if draw == "first":
            return list(texts[:number])
        rng = np.random.default_rng(self.protocol.seed)
        rows: list[int] = np.sort(rng.choice(len(texts), number, replace=False)).tolist()
        return [texts[row] for row in rows]


def texts_digest(texts: Sequence[str]) -> str:
    """What tells one set of held-out texts from another: figures taken against different ones do not compare."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def evaluate_texts(
    samples: Sequence[str],
    references: Sequence[str],
    train: Sequence[str] | None = None,
    protocol: str | Protocol = "gdflow",
) -> Result:
    """Judge samples against real held-out text.

    `train` is the text that the generator learnt from, for the copy rate. An empty sample is kept and scores 0; an
    empty reference is dropped. Too few texts for the protocol are judged all the same, and a warning says so. Raises
    UserError where a side holds no text at all.
    """
    if not any(map(str.strip, samples)):
        raise UserError("the samples hold no text; expected at least one that is not empty")
    return Judge(references, train, protocol)(samples)
