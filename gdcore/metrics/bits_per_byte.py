"""Bits per byte: held-out NLL by the length of the text rather than by tokens, so that tokenisers do not matter.

A token may be a letter or a word, and NLL per token says nothing across tokenisers; the same text has the same bytes
under each. It holds for tokenisers that lose nothing. One with UNK is told too little and comes out too low: compare
such models with one another alone.
"""

from math import log
from typing import Literal

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["bits_per_byte"] = "bits_per_byte"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`bits_per_byte`: Σ nll / ln 2 / Σ bytes of UTF-8; nothing where no generator is at hand."""
    if evidence.likelihoods is None:
        return {}
    held_out = evidence.likelihoods.held_out
    return {"bits_per_byte": Ratio(held_out.numerators_N / log(2), evidence.likelihoods.bytes_N)}
