"""Unknown words: what stands in no real text, as a misspelling does; and the literal UNK that a vocabulary left behind.

Real text has new words too. Its floor leaves one out: words of a reference that no other reference has.
"""

import re
from collections.abc import Callable
from itertools import chain
from typing import Literal

import numpy as np

from gdcore.evaluation.evidence import Evidence, Texts
from gdcore.evaluation.intervals import Measurement, Ratio, Share
from gdcore.evaluation.ngram_counts import Ints
from gdcore.settings import Settings

UNK = re.compile(r"<unk>|\[unk\]", re.IGNORECASE)


class Config(Settings):
    name: Literal["unk_rate"] = "unk_rate"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`unk_rate`: words that no reference has / words; `unk_rate_floor`: the same of references and all the others;
    `invented_rate`, where training text is given: words that neither it nor a reference has / words; `literal_unk`:
    samples that hold a written UNK / samples."""
    num_samples = len(evidence.samples)
    samples, references = evidence.sample_postings(1), evidence.reference_postings(1)
    words, holders = np.unique(references.gram_P, return_counts=True)

    def rate(text_P: Ints, count_P: Ints, lengths_N: Ints) -> Ratio:
        unknown_N = np.bincount(text_P, count_P, len(lengths_N)).astype(np.float64)
        return Ratio(unknown_N, np.maximum(1.0, lengths_N))

    foreign_P = ~np.isin(samples.gram_P, words)
    lone_P = np.isin(references.gram_P, words[holders == 1])
    found: dict[str, Measurement] = {
        "unk_rate": rate(samples.text_P[foreign_P], samples.count_P[foreign_P], evidence.sample_lengths),
        "unk_rate_floor": rate(
            references.text_P[lone_P] - num_samples, references.count_P[lone_P], evidence.reference_lengths
        ),
    }
    if evidence.train is not None:
        known = evidence.train.known
        taught = evidence.once("unk_rate: taught", lambda: frozenset(chain.from_iterable(map(_units, known))))
        real = evidence.once("unk_rate: real", lambda: taught.union(*evidence.references))
        found["invented_rate"] = _invented(evidence.samples, real.__contains__, evidence.sample_lengths)
    found["literal_unk"] = Share(sum(UNK.search("".join(text)) is not None for text in evidence.samples), num_samples)
    return found


def _units(text: str) -> list[str]:
    """Of a text as `joined` writes it."""
    return text.split("\x1f") if text else []


def _invented(samples: Texts, known: Callable[[str], bool], lengths_N: Ints) -> Ratio:
    invented = (sum(not known(word) for word in text) for text in samples)
    return Ratio(np.fromiter(invented, np.float64, len(samples)), np.maximum(1.0, lengths_N))
