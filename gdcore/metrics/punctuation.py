"""Punctuation: how much of it there is, whether texts end with any, and how far both are from real text.

A glued or missing full stop moves every word metric, and is a matter of writing rather than of language: look here
first when a figure is stranger than the texts.
"""

from typing import Literal
from unicodedata import category

import numpy as np

from gdcore.evaluation.evidence import Evidence, Texts
from gdcore.evaluation.intervals import Measurement, Ratio, Sampling, Share, Stated, difference, figure
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["punctuation"] = "punctuation"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`punctuation`: marks / words and marks; `terminal_punctuation`: texts whose last unit is a mark; of both `…_gap`,
    the samples' less the references', with an interval for both."""
    samples = _punctuation(evidence.samples)
    references = evidence.once("punctuation: references", lambda: _punctuation(evidence.references))
    found: dict[str, Measurement] = {}
    for name, mine in samples.items():
        found[name] = mine
        both = (figure(side, Sampling(evidence.seed)) for side in (references[name], mine))
        found[f"{name}_gap"] = Stated(**difference(*both))
    return found


def _punctuation(texts: Texts) -> dict[str, Ratio | Share]:
    marks = {unit for unit in set[str]().union(*texts) if all(category(sign)[0] in "PS" for sign in unit)}
    counts = (sum(unit in marks for unit in text) for text in texts)
    return {
        "punctuation": Ratio(
            np.fromiter(counts, np.float64, len(texts)), np.maximum(1.0, [len(text) for text in texts])
        ),
        "terminal_punctuation": Share(sum(bool(text) and text[-1] in marks for text in texts), len(texts)),
    }
