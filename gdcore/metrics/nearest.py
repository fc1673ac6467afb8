"""Nearest training text: how much of a text must be changed to make it one that the generator learnt from.

Edit distance over units, divided by the longer text's length: 0 is a copy, and near 0 one with a word exchanged, which
the copy rate does not see. Real held-out text gives the floor: only a generator that is nearer than that memorises.
"""

from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence, Exhibit, Texts
from gdcore.evaluation.intervals import Mean, Measurement
from gdcore.evaluation.nearest import LIMIT, library
from gdcore.evaluation.ngram_counts import Floats
from gdcore.evaluation.words import written
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["nearest"] = "nearest"
    budget: int = Field(default=6000, ge=1)
    """Units of the texts looked at, drawn at random, of each at most the first 64: the search costs what they cost."""
    shown: int = Field(default=10, ge=0)
    """Closest pairs exhibited."""


class Found(NamedTuple):
    """Some texts (rows of all) and the training text nearest to each."""

    rows: list[int]
    train: list[int]
    distances_K: Floats


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`nearest` of samples, `nearest_floor` of references: averages; nothing where no training text is given."""
    if evidence.train is None or not len(evidence.train.texts):
        return {}
    floor = evidence.once(f"nearest to references {config}", lambda: _find(config, evidence, evidence.references))
    found = _found(config, evidence)
    return {"nearest": Mean(found.distances_K), "nearest_floor": Mean(floor.distances_K)}


def exhibits(config: Config, evidence: Evidence) -> list[Exhibit]:
    """The samples closest to a training text, each once."""
    if evidence.train is None or not len(evidence.train.texts):
        return []
    found = _found(config, evidence)
    rows: dict[str, list[Any]] = {}
    order: list[int] = np.argsort(found.distances_K, kind="stable").tolist()
    for k in order:
        sample = written(evidence.samples[found.rows[k]])
        if sample and sample not in rows:
            distance = round(float(found.distances_K[k]), 3)
            rows[sample] = [distance, sample, written(evidence.train.texts[found.train[k]])]
        if len(rows) == config.shown:
            break
    about = f"The closest of {len(found.rows):,} samples; the distance is the share of units to be changed, 0 a copy."
    return [
        Exhibit(
            title="Samples nearest to training text",
            about=about,
            columns=["distance", "sample", "training text"],
            rows=list(rows.values()),
        )
    ]


def _found(config: Config, evidence: Evidence) -> Found:
    return evidence.shared(f"nearest {config}", lambda: _find(config, evidence, evidence.samples))


def _find(config: Config, evidence: Evidence, texts: Texts) -> Found:
    """As many whole texts, in random order, as the budget holds, but at least one."""
    order: list[int] = np.random.default_rng(evidence.seed).permutation(len(texts)).tolist()
    lengths_N = np.array([min(LIMIT, len(texts[row])) for row in order])
    rows = sorted(order[: max(1, int(np.searchsorted(lengths_N.cumsum(), config.budget, side="right")))])
    train_K, distances_K = library(evidence).nearest([texts[row] for row in rows])
    return Found(rows, train_K.tolist(), distances_K)
