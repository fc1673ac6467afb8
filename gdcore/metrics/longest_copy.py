"""Longest copy: the longest run of units that a text shares with any one training text.

Whole copies are rare where passages are copied; and people share phrases too, so real held-out text gives the floor.
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence, Exhibit, Texts
from gdcore.evaluation.intervals import Mean, Measurement
from gdcore.evaluation.nearest import library
from gdcore.evaluation.ngram_counts import Ints
from gdcore.evaluation.words import written
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["longest_copy"] = "longest_copy"
    shown: int = Field(default=10, ge=0)
    """Longest passages exhibited."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`longest_copy` in units and `longest_copy_share` of the text's length, each with the `…_floor` of references.

    Averages over texts; an empty text counts as 0. Nothing where no training text is given.
    """
    if evidence.train is None or not len(evidence.train.texts):
        return {}
    floor = evidence.once("longest copies in references", lambda: library(evidence).longest(evidence.references))
    longest, share = _means(_longest(evidence)[0], evidence.samples)
    longest_floor, share_floor = _means(floor[0], evidence.references)
    return {
        "longest_copy": longest,
        "longest_copy_floor": longest_floor,
        "longest_copy_share": share,
        "longest_copy_share_floor": share_floor,
    }


def exhibits(config: Config, evidence: Evidence) -> list[Exhibit]:
    """The longest passages, each once."""
    if evidence.train is None or not len(evidence.train.texts):
        return []
    longest_N, from_N = _longest(evidence)
    rows: dict[str, list[Any]] = {}
    order: list[int] = np.argsort(-longest_N, kind="stable").tolist()
    for row in order:
        text, size, start = evidence.samples[row], int(longest_N[row]), int(from_N[row])
        passage = written(text[start : start + size])
        if passage and passage not in rows:
            rows[passage] = [size, passage, written(text)]
        if len(rows) == config.shown:
            break
    return [
        Exhibit(
            title="Longest passages taken from training text",
            about=f"Units in a row that stand so in one of {len(evidence.train.texts):,} training texts.",
            columns=["units", "passage", "sample"],
            rows=list(rows.values()),
        )
    ]


def _longest(evidence: Evidence) -> tuple[Ints, Ints]:
    return evidence.shared("longest copies in samples", lambda: library(evidence).longest(evidence.samples))


def _means(longest_N: Ints, texts: Texts) -> tuple[Mean, Mean]:
    lengths_N = np.array([max(1, len(text)) for text in texts])
    return Mean(longest_N.astype(np.float64)), Mean(longest_N / lengths_N)
