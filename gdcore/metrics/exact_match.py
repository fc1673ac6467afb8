"""Exact match: how many answers are, word for word, an answer that people gave to the same prompt.

For prompts with one right answer (translation of a small language, arithmetic, conversion, a fact) it says all; of open
ones it asks too much, and stays near 0. What is the same word for word is the protocol's say: in the house's, case and
the number of spaces do not count. Beside it what an answer is worth that listens to no prompt: the most frequent one of
the training text, given to all.
"""

from collections import Counter
from typing import Literal

from gdcore.evaluation.evidence import Evidence, joined
from gdcore.evaluation.intervals import Measurement, Share
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["exact_match"] = "exact_match"


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`exact_match` of the samples, and `exact_match_floor` of one answer for all, where training text is given;
    nothing where texts answer no prompts."""
    if evidence.answers is None:
        return {}
    right = [frozenset(joined(answers)) for answers in evidence.answers]
    pairs = zip(joined(evidence.samples), right, strict=True)
    found: dict[str, Measurement] = {"exact_match": Share(sum(text in known for text, known in pairs), len(right))}
    if evidence.train is not None:
        usual = _most_frequent(joined(evidence.train.texts))
        found["exact_match_floor"] = Share(sum(usual in known for known in right), len(right))
    return found


def _most_frequent(texts: list[str]) -> str:
    """Of equally frequent ones the first in the alphabet, so that the order of the texts decides nothing."""
    return min(Counter(texts).items(), key=lambda each: (-each[1], each[0]))[0]
