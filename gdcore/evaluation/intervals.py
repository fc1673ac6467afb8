"""How sure a figure is: 95 % intervals that are right for each kind of measurement.

What a metric measures comes in five kinds, and each knows how to find its own interval:

- `Mean`: one value a text against fixed references; texts are resampled with replacement (percentile bootstrap).
- `Ratio`: a sum over a sum, as NLL per token; texts are resampled, so that long ones weigh by their tokens.
- `Share`: one yes or no a text; Wilson's interval, which does not shrink to nothing when none or all say yes.
- `Stated`: a figure that brings its own interval, as a cross-validated or a permuted one does.
- `SetFigure`: a property of the whole set, as self-BLEU or distinct-n. Drawing with replacement puts a text beside its
  own copy and inflates it, so smaller sets are drawn without replacement instead (Politis and Romano 1994).

A difference between two independent figures follows from their intervals alone (MOVER, Zou and Donner 2008); two
models' likelihoods of the same texts are compared text by text.

Shape letters: N texts, R resamples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypedDict

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

NORMAL = 1.959963984540054
"""Half-width of a 95 % interval in standard errors."""

BLOCK = 50
"""Resamples computed at once: bounds memory at BLOCK × N."""


class Figure(TypedDict):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Sampling:
    """How an interval is found: its random seed and how much work to spend."""

    seed: int = 0
    resamples: int = 1000
    subsamples: int = 20


@dataclass(frozen=True)
class Ratio:
    """Σ numerators / Σ denominators."""

    numerators_N: Values
    denominators_N: Values


@dataclass(frozen=True)
class Mean:
    """The average of one value a text."""

    values_N: Values


@dataclass(frozen=True)
class Share:
    """How many of all said yes."""

    hits: int
    trials: int

    def figure(self, sampling: Sampling) -> Figure:
        """Wilson's interval (1927)."""
        share, spread = self.hits / self.trials, NORMAL**2 / self.trials
        centre = (share + spread / 2) / (1 + spread)
        half = np.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
        return _figure(share, centre - half, centre + half)


@dataclass(frozen=True)
class Stated:
    """A figure that brings its own interval."""

    value: float
    low: float
    high: float

    def figure(self, sampling: Sampling) -> Figure:
        return _figure(self.value, self.low, self.high)


@dataclass(frozen=True)
class SetFigure:
    """A property of a set of texts, which moves with the set's size: it holds for `size` texts.

    `measure` takes row numbers, in random order and without repetition, and gives the property of the set they make.
    Where the set is larger than `size`, the value is the average over `subsamples` draws; otherwise all texts are
    measured, and draws of half of them tell the spread. `share_of` texts: the figure is a share of so many, and its
    interval at least as wide as a share's; that no copy was seen does not prove that there is none.
    """

    measure: Callable[[Rows], float]
    num_texts: int
    size: int
    share_of: int | None = None
    limits: tuple[float, float] = (0.0, 1.0)
    """Between which the property always lies."""

    def figure(self, sampling: Sampling) -> Figure:
        rng = np.random.default_rng(sampling.seed)
        whole = self.size >= self.num_texts
        size = max(1, self.num_texts // 2) if whole else self.size
        draws = np.array([self.measure(rng.permutation(self.num_texts)[:size]) for _ in range(sampling.subsamples)])
        value = self.measure(np.arange(self.num_texts)) if whole else draws.mean()
        # Sets drawn from one pool overlap, and vary less than fresh sets would: by √(1 − size/N). The value rests on
        # all N texts, hence √(size/N); together √(size/(N − size)). An average of few draws adds its own error.
        own_error = 0 if whole else 1 / sampling.subsamples
        scale = np.sqrt(size / max(1, self.num_texts - size) + own_error)
        half = NORMAL * scale * (draws.std(ddof=1) if len(draws) > 1 else 0.0)
        least, most = self.limits
        low, high = max(least, value - half), min(most, value + half)
        if self.share_of is not None:
            wilson = Share(round(value * self.share_of), self.share_of).figure(sampling)
            low, high = min(low, wilson["low"]), max(high, wilson["high"])
        return _figure(value, low, high)


Measurement = Mean | Ratio | Share | Stated | SetFigure


def figures(measured: Mapping[str, Measurement], sampling: Sampling) -> dict[str, Figure]:
    """Every measurement with its interval, in the order given."""
    averages: dict[str, Ratio] = {}
    found: dict[str, Figure] = {}
    for name, measurement in measured.items():
        if isinstance(measurement, Mean):
            averages[name] = Ratio(measurement.values_N, np.ones(len(measurement.values_N)))
        elif isinstance(measurement, Ratio):
            averages[name] = measurement
        else:
            found[name] = measurement.figure(sampling)
    for num_texts in {len(ratio.numerators_N) for ratio in averages.values()}:
        alike = {name: ratio for name, ratio in averages.items() if len(ratio.numerators_N) == num_texts}
        found |= _bootstrap(alike, num_texts, sampling)
    return {name: found[name] for name in measured}


def figure(measurement: Measurement, sampling: Sampling) -> Figure:
    """One measurement with its interval."""
    return figures({"it": measurement}, sampling)["it"]


def _bootstrap(ratios: Mapping[str, Ratio], num_texts: int, sampling: Sampling) -> dict[str, Figure]:
    """The percentile bootstrap (Efron 1979) of several ratios over the same number of texts, on the same draws."""
    rng = np.random.default_rng(sampling.seed)
    numerators_NK = np.stack([ratio.numerators_N for ratio in ratios.values()], axis=1)
    denominators_NK = np.stack([ratio.denominators_N for ratio in ratios.values()], axis=1)
    draws: list[Values] = []
    for start in range(0, sampling.resamples, BLOCK):
        num_draws = min(BLOCK, sampling.resamples - start)
        drawn_RN = rng.integers(num_texts, size=(num_draws, num_texts))
        drawn_RN += np.arange(num_draws)[:, None] * num_texts
        times_RN = np.bincount(drawn_RN.ravel(), minlength=drawn_RN.size).reshape(drawn_RN.shape).astype(np.float64)
        draws.append((times_RN @ numerators_NK) / (times_RN @ denominators_NK))
    low_K, high_K = np.percentile(np.concatenate(draws), [2.5, 97.5], axis=0)
    value_K = numerators_NK.sum(0) / denominators_NK.sum(0)
    return {name: _figure(value_K[k], low_K[k], high_K[k]) for k, name in enumerate(ratios)}


def columns(measure: Callable[[Rows], Values], number: int) -> list[Callable[[Rows], float]]:
    """Split a measure of several properties into one measure each; a set met again is not measured again."""
    known: dict[bytes, Values] = {}

    def column(index: int) -> Callable[[Rows], float]:
        def one(rows: Rows) -> float:
            key = rows.tobytes()
            if key not in known:
                known[key] = measure(rows)
            return float(known[key][index])

        return one

    return [column(index) for index in range(number)]


def difference(a: Figure, b: Figure) -> Figure:
    """b − a for independent figures: their distances to the limits add in quadrature, each side by itself."""
    value = b["value"] - a["value"]
    low = value - np.hypot(b["value"] - b["low"], a["high"] - a["value"])
    high = value + np.hypot(b["high"] - b["value"], a["value"] - a["low"])
    return _figure(value, low, high)


def paired_difference(a: Ratio, b: Ratio, sampling: Sampling) -> Figure:
    """b − a where both were measured on the same texts with the same denominators, text by text."""
    if not np.array_equal(a.denominators_N, b.denominators_N):
        raise ValueError("a paired difference needs the same texts, cut into the same tokens, on both sides")
    return figure(Ratio(b.numerators_N - a.numerators_N, a.denominators_N), sampling)


def _figure(value: float, low: float, high: float) -> Figure:
    return {"value": float(value), "low": float(low), "high": float(high)}
