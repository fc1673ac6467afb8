"""Has the text changed since the champion learnt from it? A new corpus beside the champion's, figures with floors.

The champion's text differs from itself too, one part of it from another. So every figure is taken twice against the
same reference: on some new texts, and on as many of the champion's own that were set aside. Only what the new ones have
more counts: the excess. It is measured over draws without replacement, and its interval is their spread.

A text that stands in both corpora is taken out of the reference while it is judged: nothing is held against itself.

Shape letters: V words, N texts.
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from gdcore.errors import UserError
from gdcore.evaluation.intervals import NORMAL, Figure, Sampling, difference
from gdcore.evaluation.two_sample import tell_apart
from gdcore.evaluation.words import split, splitter_for
from gdcore.progress import Progress
from gdcore.settings import Settings

Ints = NDArray[np.int64]
LEAST = 20
"""Texts of either side below which nothing can be said."""
CLASSIFIER, FOLDS = "linear", 5
NUM_SHOWN = 20


class DriftConfig(Settings):
    """How far the text may move from the champion's before retraining is due."""

    num_texts: int = Field(default=2000, ge=LEAST)
    """Texts of either side in a draw; at most half of the smaller side."""
    num_pool: int = Field(default=20_000, ge=2 * LEAST)
    """Texts of either side that draws are made from; of more, so many are taken."""
    draws: int = Field(default=20, ge=5)
    """Draws behind each interval."""
    seed: int = Field(default=0, ge=0)
    """Of the draws."""
    max_new_words: float = Field(default=0.02, ge=0)
    """Share of running words that the champion has never seen, beyond that of its own text."""
    max_divergence: float = Field(default=0.05, ge=0)
    """Jensen–Shannon divergence of the words, in bits, beyond that of its own text."""
    max_length: float = Field(default=0.1, ge=0)
    """Widest gap between the curves of text lengths (Kolmogorov and Smirnov), beyond that of its own text."""
    max_auc: float = Field(default=0.1, ge=0)
    """AUC of a classifier that tells new texts from the champion's, beyond what it reaches on the champion's own."""
    max_growth: float = Field(default=0.5, gt=0)
    """Texts that were not there before, against the number of those that the champion learnt from."""


class Moved(TypedDict):
    """One figure, and whether it has moved further than allowed."""

    name: str
    label: str
    value: float
    """Of the new text."""
    floor: float
    """The same of the champion's own."""
    excess: Figure
    limit: float
    drifted: bool
    """Whether the excess' whole interval lies above the limit."""


class Sample(NamedTuple):
    """What the measures look at: how often each word occurs, and how many words each text has."""

    words_V: Ints
    lengths_N: Ints


def compare(config: DriftConfig, before: Path, after: Path, out: Path) -> Iterator[Progress]:
    """Hold one corpus' training text to the champion's and write `drift.json` into `out`.

    Raises UserError where either has too few texts for anything to be said.
    """
    texts = {name: _texts(corpus) for name, corpus in (("champion", before), ("new", after))}
    known = set(texts["champion"])
    fresh = sum(text not in known for text in texts["new"])
    growth = fresh / len(known)
    moved = yield from _moved(config, texts["champion"], texts["new"])
    verdict = _verdict(config, moved, growth)
    report = {
        "schema_version": 1,
        **verdict,
        "moved": moved,
        "growth": {"texts": fresh, "share": growth, "limit": config.max_growth, "drifted": growth > config.max_growth},
        "texts": {name: len(each) for name, each in texts.items()},
        "new_words": _new_words(texts["champion"], texts["new"]),
    }
    (out / "drift.json").write_text(json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False) + "\n", "utf-8")
    yield Progress(
        config.draws + 1, config.draws + 1, "retraining is due" if verdict["due"] else "no retraining needed"
    )


def new_words(reference: Sample, sample: Sample) -> float:
    """Share of the sample's running words that the reference does not have."""
    return float(sample.words_V[reference.words_V == 0].sum() / max(1, sample.words_V.sum()))


def divergence(reference: Sample, sample: Sample) -> float:
    """Jensen–Shannon divergence of the words (Lin 1991), in bits: 0 where they are alike, 1 where none is shared."""
    shares = np.stack([side.words_V / max(1, side.words_V.sum()) for side in (reference, sample)])
    middle_V = shares.mean(axis=0)
    logs = np.log2(np.divide(shares, middle_V, out=np.ones_like(shares), where=shares > 0))
    return float((shares * logs).sum() / 2)


def length_gap(reference: Sample, sample: Sample) -> float:
    """The widest gap between the two shares of texts up to a length."""
    lengths = np.union1d(reference.lengths_N, sample.lengths_N)
    below = [
        np.searchsorted(np.sort(side.lengths_N), lengths, "right") / len(side.lengths_N) for side in (reference, sample)
    ]
    return float(np.abs(below[0] - below[1]).max())


MEASURES: dict[str, tuple[str, Callable[[Sample, Sample], float]]] = {
    "new_words": ("words never seen", new_words),
    "divergence": ("divergence of the words", divergence),
    "length": ("gap between the lengths", length_gap),
}


class Pool:
    """Texts of both sides as word numbers; the champion's come first."""

    def __init__(self, champion: Sequence[str], new: Sequence[str]) -> None:
        texts = [*champion, *new]
        self.units = split([text.lower() for text in texts], splitter_for(champion))
        numbers: dict[str, int] = {}
        flat = [numbers.setdefault(word, len(numbers)) for text in self.units for word in text]
        self.ids: Ints = np.array(flat, np.int64)
        self.num_words = len(numbers)
        self.lengths_N: Ints = np.array([len(text) for text in self.units], np.int64)
        self.starts_N: Ints = np.cumsum(self.lengths_N) - self.lengths_N
        self.num_champion = len(champion)
        place = {text: row for row, text in enumerate(champion)}
        self.twin_N: Ints = np.array([place.get(text, -1) for text in texts], np.int64)
        """The row of the champion's that holds the same text, or −1."""

    def sample(self, rows: Ints) -> Sample:
        lengths = self.lengths_N[rows]
        where = np.repeat(self.starts_N[rows] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        return Sample(np.bincount(self.ids[where], minlength=self.num_words), lengths)

    def draw(self, size: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """Rows of new texts, of the champion's own, and of the reference, which holds neither."""
        own = rng.choice(self.num_champion, size, replace=False)
        new = self.num_champion + rng.choice(len(self.units) - self.num_champion, size, replace=False)
        in_reference = np.ones(self.num_champion, bool)
        in_reference[own] = False
        twins = self.twin_N[new]
        in_reference[twins[twins >= 0]] = False
        return new, own, np.flatnonzero(in_reference)


def _moved(config: DriftConfig, champion: Sequence[str], new: Sequence[str]) -> Generator[Progress, None, list[Moved]]:
    """Every figure, over its draws."""
    rng = np.random.default_rng(config.seed)
    pools = [_at_most(texts, config.num_pool, rng) for texts in (champion, new)]
    size = min(config.num_texts, *(len(texts) // 2 for texts in pools))
    if size < LEAST:
        counts = " and ".join(f"{len(texts):,}" for texts in (champion, new))
        raise UserError(f"{counts} training texts are too few to say how they differ: give {2 * LEAST} or more")
    pool = Pool(*pools)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in MEASURES}
    for draw in range(config.draws):
        rows = pool.draw(size, rng)
        after, own, reference = (pool.sample(each) for each in rows)
        for name, (_, measure) in MEASURES.items():
            found[name].append((measure(reference, after), measure(reference, own)))
        yield Progress(draw + 1, config.draws + 1, "new text beside the champion's")
    moved = [_figure(config, name, label, np.array(found[name])) for name, (label, _) in MEASURES.items()]
    return [*moved, _auc(config, pool, size, rng)]


def _figure(config: DriftConfig, name: str, label: str, pairs_R2: NDArray[np.float64]) -> Moved:
    value, floor = pairs_R2.mean(axis=0).tolist()
    excess_R = pairs_R2[:, 0] - pairs_R2[:, 1]
    middle, half = float(excess_R.mean()), NORMAL * float(excess_R.std(ddof=1))
    return _judged(config, name, label, value, floor, {"value": middle, "low": middle - half, "high": middle + half})


def _auc(config: DriftConfig, pool: Pool, size: int, rng: np.random.Generator) -> Moved:
    """A classifier's AUC on new texts and on the champion's own, each against other texts of the champion's."""
    new, own, reference = pool.draw(size, rng)
    against = [pool.units[row] for row in rng.permutation(reference)[:size]]
    sides = [[pool.units[row] for row in rows] for rows in (own, new)]
    floor, auc = (
        tell_apart(against, side, CLASSIFIER, FOLDS, config.seed).auc.figure(Sampling(config.seed)) for side in sides
    )
    label = "AUC of telling it apart"
    return _judged(config, "auc", label, auc["value"], floor["value"], difference(floor, auc))


def _judged(config: DriftConfig, name: str, label: str, value: float, floor: float, excess: Figure) -> Moved:
    limit: float = getattr(config, f"max_{name}")
    drifted = excess["low"] > limit
    return {
        "name": name,
        "label": label,
        "value": value,
        "floor": floor,
        "excess": excess,
        "limit": limit,
        "drifted": drifted,
    }


def _verdict(config: DriftConfig, moved: Sequence[Moved], growth: float) -> dict[str, Any]:
    """Whether retraining is due, and why, in words."""
    why = [
        f"{each['label']} {each['value']:.3f}, against {each['floor']:.3f} within the champion's own text"
        for each in moved
        if each["drifted"]
    ]
    if growth > config.max_growth:
        why.append(f"new texts are {growth:.0%} of those the champion learnt from")
    if why:
        return {"due": True, "reason": f"Retraining is due: {'; '.join(why)}."}
    return {
        "due": False,
        "reason": "No retraining is needed: nothing has moved beyond its limit, and the corpus has grown by "
        f"{growth:.0%} (limit {config.max_growth:.0%}).",
    }


def _new_words(champion: Sequence[str], new: Sequence[str]) -> list[tuple[str, int]]:
    """The most frequent words of the new text that the champion has never seen."""
    how = splitter_for(champion)
    known, fresh = (
        pl.DataFrame({"word": [word for text in split([each.lower() for each in texts], how) for word in text]})
        for texts in (champion, new)
    )
    counts = fresh.join(known.unique(), on="word", how="anti").group_by("word").len()
    top = counts.sort("len", "word", descending=[True, False]).head(NUM_SHOWN)
    return [(word, number) for word, number in top.iter_rows()]


def _texts(corpus: Path) -> list[str]:
    """What a corpus trains on."""
    return pl.read_parquet(corpus / "train.parquet", columns=["text"])["text"].to_list()


def _at_most(texts: Sequence[str], number: int, rng: np.random.Generator) -> list[str]:
    if len(texts) <= number:
        return list(texts)
    rows: list[int] = np.sort(rng.choice(len(texts), number, replace=False)).tolist()
    return [texts[row] for row in rows]
