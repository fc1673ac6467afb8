"""Common sense, for every metric of the house's protocol: what spoils a text must spoil its figures.

A new metric needs one line in TABLE: which way is worse, and which kinds of damage must show. A damaged set of texts
has to come out worse than both of two undamaged ones. That the order of texts does not matter is in `test_contract.py`;
likelihoods are a generator's own, and damaged samples do not move them.
"""

import random
from collections.abc import Callable
from functools import cache
from typing import Literal, NamedTuple

import pytest

from gdcore import plugins
from gdcore.evaluation import protocol
from gdcore.evaluation.evidence import Evidence, Training, joined
from gdcore.evaluation.intervals import Sampling, figures

Texts = list[list[str]]
NUM_TEXTS = 300
SAMPLING = Sampling(seed=0, resamples=100, subsamples=2)


class Row(NamedTuple):
    """What must hold of one figure."""

    worse: Literal["higher", "lower", "farther"]
    """`farther`: from 0, on either side."""
    damage: str
    """Which of DAMAGE must make it worse."""
    best_at_identity: bool = False
    """Whether the references themselves must do at least as well as anything else."""


TABLE = {
    "bleu_2": Row("lower", "word_drop shuffle", True),
    "bleu_4": Row("lower", "word_drop shuffle", True),
    "self_bleu_4": Row("higher", "duplication collapse"),
    "distinct_1": Row("lower", "duplication collapse"),
    "distinct_4": Row("lower", "duplication collapse"),
    "unique": Row("lower", "duplication collapse"),
    "copy_rate": Row("higher", "copying"),
    "longest_copy": Row("higher", "copying"),
    "nearest": Row("lower", "copying"),
    "vocabulary_coverage": Row("lower", "duplication collapse", True),
    "length": Row("lower", "word_drop"),
    "frechet": Row("higher", "word_drop shuffle duplication collapse garble bare"),
    "mmd": Row("higher", "word_drop shuffle collapse garble"),
    "mmd_p": Row("lower", "shuffle collapse"),
    "energy": Row("higher", "word_drop shuffle collapse garble"),
    "energy_p": Row("lower", "shuffle collapse"),
    "precision": Row("lower", "word_drop"),
    "recall": Row("lower", "duplication collapse"),
    "density": Row("lower", "word_drop shuffle garble"),
    "coverage": Row("lower", "shuffle collapse"),
    "mauve": Row("lower", "word_drop shuffle duplication collapse"),
    "c2st_auc": Row("higher", "word_drop shuffle collapse garble bare stutter loop"),
    "lm_score": Row("higher", "word_drop shuffle garble", True),
    "reverse_lm": Row("higher", "word_drop shuffle duplication collapse garble", True),
    "backward_bleu_2": Row("lower", "word_drop shuffle duplication collapse", True),
    "backward_bleu_4": Row("lower", "word_drop shuffle duplication collapse", True),
    "entropy_1": Row("lower", "duplication collapse"),
    "entropy_2": Row("lower", "duplication collapse"),
    "length_distance": Row("higher", "word_drop collapse loop", True),
    "repetition_2": Row("higher", "loop"),
    "repetition_4": Row("higher", "loop"),
    "immediate_repeats": Row("higher", "stutter"),
    "unk_rate": Row("higher", "garble", True),
    "invented_rate": Row("higher", "garble", True),
    "literal_unk": Row("higher", "garble"),
    "punctuation": Row("lower", "bare"),
    "punctuation_gap": Row("farther", "bare", True),
    "terminal_punctuation": Row("lower", "word_drop shuffle bare"),
    "terminal_punctuation_gap": Row("farther", "word_drop shuffle bare", True),
}


def real_texts(rng: random.Random) -> Texts:
    """Sentences of a small grammar; a few words are common and most are rare, as in language."""

    def word(kind: str, number: int) -> str:
        return f"{kind}{int(number * rng.random() ** 3)}"

    def things() -> list[str]:
        adjectives = [word("adjective", 40) for _ in range(rng.choice([0, 0, 1, 2]))]
        return [rng.choice(["the", "a"]), *adjectives, word("noun", 200)]

    def sentence() -> list[str]:
        place = [*rng.choice([["on"], ["next", "to"], ["in", "front", "of"]]), *things()] if rng.random() < 0.6 else []
        more = [",", "and", word("verb", 60), *things()] if rng.random() < 0.3 else []
        return [*things(), word("verb", 60), *things(), *place, *more, *([] if rng.random() < 0.1 else ["."])]

    return [sentence() for _ in range(NUM_TEXTS)]


def word_drop(texts: Texts, rng: random.Random) -> Texts:
    return [[word for word in text if rng.random() > 0.3] for text in texts]


def shuffle(texts: Texts, rng: random.Random) -> Texts:
    return [rng.sample(text, len(text)) for text in texts]


def duplication(texts: Texts, rng: random.Random) -> Texts:
    half = texts[: len(texts) // 2]
    return [*half, *half]


def collapse(texts: Texts, rng: random.Random) -> Texts:
    return texts[:5] * (len(texts) // 5)


def loop(texts: Texts, rng: random.Random) -> Texts:
    """Half of the texts say everything twice."""
    return [text * 2 if rng.random() < 0.5 else text for text in texts]


def stutter(texts: Texts, rng: random.Random) -> Texts:
    return [[again for word in text for again in [word] * rng.choice([1, 1, 1, 2])] for text in texts]


def garble(texts: Texts, rng: random.Random) -> Texts:
    """A tenth of the words is nothing, or a sign for it."""

    def nothing() -> list[str]:
        return rng.choice([["<", "unk", ">"], [f"zq{rng.randrange(1000)}"]])

    return [[part for word in text for part in (nothing() if rng.random() < 0.1 else [word])] for text in texts]


def bare(texts: Texts, rng: random.Random) -> Texts:
    return [[word for word in text if word.isalnum()] for text in texts]


def copying(texts: Texts, rng: random.Random) -> Texts:
    """Half of the texts are training text."""
    half = len(texts) // 2
    return [*TRAIN[:half], *texts[half:]]


DAMAGE: dict[str, Callable[[Texts, random.Random], Texts]] = {
    each.__name__: each for each in (word_drop, shuffle, duplication, collapse, loop, stutter, garble, bare, copying)
}
RNG = random.Random(7)
REFERENCES, TRAIN, REAL, OTHER_REAL = (real_texts(RNG) for _ in range(4))
JUDGED = {
    "real": REAL,
    "other real": OTHER_REAL,
    "identity": REFERENCES,
    **{name: damage(REAL, random.Random(7)) for name, damage in DAMAGE.items()},
}
METRICS = protocol.load("gdflow").metrics
OF_REFERENCES: dict[str, object] = {}


@cache
def measured(metric: str, name: str) -> dict[str, float]:
    """A metric's figures of one of the sets of texts."""
    train = Training(frozenset(joined(TRAIN)), TRAIN)
    evidence = Evidence(JUDGED[name], REFERENCES, train, None, 1, OF_REFERENCES)
    found = figures(plugins.load("metrics", metric).score(METRICS[metric], evidence), SAMPLING)
    return {key: figure["value"] for key, figure in found.items()}


@pytest.mark.parametrize("metric", METRICS)
def test_damage_shows(metric: str) -> None:
    keys = measured(metric, "real").keys()
    rows = {key: TABLE[key] for key in keys if key in TABLE}
    assert rows or not keys, f"{metric}: give at least one of {', '.join(keys)} a line in TABLE"
    for key, row in rows.items():

        def badness(name: str, key: str = key, row: Row = row) -> float:
            value = measured(metric, name)[key]
            return {"higher": value, "lower": -value, "farther": abs(value)}[row.worse]

        damaged = {name: badness(name) for name in row.damage.split()}
        undamaged = max(badness("real"), badness("other real"))
        for name, found in damaged.items():
            assert found > undamaged, f"{name} does not show in {key}"
        if row.best_at_identity:
            best = min(*damaged.values(), badness("real"), badness("other real"))
            assert badness("identity") <= best + 1e-12, f"{key} is not best for the references"


def test_every_line_of_the_table_is_tried() -> None:
    assert TABLE.keys() <= {key for metric in METRICS for key in measured(metric, "real")}
