"""Two results side by side: per metric the difference, a named test, a verdict, and what would settle it.

Which way is better stands in `gdcore.report.wording`: higher, lower, or nearer to real text, where a figure may lie on
either side of it. A p-value comes from the difference's own interval, so each metric is tested by what is right for it:
text by text where both models were asked about the same texts, as independent figures elsewhere, and across training
seeds by the seeds. The p-values of all metrics are corrected for being many.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import NormalDist
from typing import Literal, NotRequired, TypedDict

import numpy as np

from gdcore.evaluation.intervals import Figure, Ratio, Sampling, Values, difference, figure, paired_difference
from gdcore.evaluation.significance import LEVEL, holm, needed, p_of, student_limit, student_p
from gdcore.report import wording
from gdcore.report.wording import Better

Verdict = Literal["better", "worse", "no difference"]

INDEPENDENT = "z of independent figures (MOVER)"
PAIRED = "z of the paired bootstrap, text by text"
NEARER = "z of the distances to real text (MOVER)"
SEEDS = "paired t across training seeds"

MANY = 1_000_000
"""More samples than anybody will draw to settle a difference."""


class Contrast(TypedDict):
    """One metric of two results, A and B."""

    metric: str
    better: Better | None
    a: Figure
    b: Figure
    real: Figure | None
    """What real text has, where known."""
    difference: Figure
    """B − A."""
    gain: Figure
    """By how much B is better, in the metric's own units: the difference, its opposite, or how much nearer to real
    text. Where a metric has no better side, the difference."""
    test: str
    p: float
    p_holm: float
    """Corrected for all the metrics compared."""
    verdict: Verdict
    unit: Literal["samples", "texts", "seeds"]
    number: int
    """Of these, behind the figures."""
    needed: int | None
    """How many would show a difference of this size 4 times in 5; None where one is shown already, or none was
    measured."""
    by_seed: NotRequired[list[float]]
    """The gain of each training seed."""


def contrast(
    metric: str,
    a: Figure,
    b: Figure,
    *,
    better: Better | None,
    samples: int = 0,
    real: Figure | None = None,
    paired: tuple[Ratio, Ratio] | None = None,
    sampling: Sampling | None = None,
) -> Contrast:
    """One metric, not yet corrected for the others; `samples` texts are behind the figures.

    `paired` are both sides' likelihoods of the same texts. Raises ValueError for a metric whose aim is real text where
    the figure of real text is not given.
    """
    change = paired_difference(*paired, sampling or Sampling()) if paired else difference(a, b)
    if better == "real":
        if real is None:
            raise ValueError(f"{metric} is better the nearer to real text: its figure for real text is needed")
        gain, p = nearer(a, b, real)
    else:
        gain = _opposite(change) if better == "lower" else change
        p = p_of(gain)
    return {
        "metric": metric,
        "better": better,
        "a": a,
        "b": b,
        "real": real,
        "difference": change,
        "gain": gain,
        "test": PAIRED if paired else NEARER if better == "real" else INDEPENDENT,
        "p": p,
        "p_holm": p,
        "verdict": "no difference",
        "unit": "texts" if paired else "samples",
        "number": len(paired[0].numerators_N) if paired else samples,
        "needed": None,
    }


def nearer(a: Figure, b: Figure, real: Figure) -> tuple[Figure, float]:
    """By how much b is nearer to `real` than a is, |a − real| − |b − real|, with interval and p-value.

    Where it is known on which side of real text each lies, this is a plain sum, in which the error of `real` cancels if
    they lie on the same one. Where it is not known, every side that the intervals allow is reckoned with: the interval
    covers them all, and the p-value is the largest.
    """
    value = abs(a["value"] - real["value"]) - abs(b["value"] - real["value"])
    found: list[Figure] = []
    for of_a, of_b in product(_sides(a, real), _sides(b, real)):
        found.append(_sum([(of_a, a), (-of_b, b), (of_b - of_a, real)]))
    gain: Figure = {
        "value": value,
        "low": min(value, *(each["low"] for each in found)),
        "high": max(value, *(each["high"] for each in found)),
    }
    agree = len({math.copysign(1, each["value"]) for each in found if each["value"]}) == 1
    return gain, max(map(p_of, found)) if agree else 1.0


def _sides(figure: Figure, real: Figure) -> list[int]:
    """On which sides of `real` a figure may lie: above is 1, below −1."""
    change = difference(real, figure)
    return [side for side, possible in ((1, change["high"] > 0), (-1, change["low"] < 0)) if possible] or [1]


def _sum(terms: Iterable[tuple[float, Figure]]) -> Figure:
    """A weighted sum of independent figures: their distances to the limits add in quadrature (MOVER)."""
    value, below, above = 0.0, 0.0, 0.0
    for weight, each in terms:
        to_low, to_high = each["value"] - each["low"], each["high"] - each["value"]
        down, up = (to_low, to_high) if weight > 0 else (to_high, to_low)
        value += weight * each["value"]
        below += (weight * down) ** 2
        above += (weight * up) ** 2
    return {"value": value, "low": value - math.sqrt(below), "high": value + math.sqrt(above)}


def _opposite(change: Figure) -> Figure:
    return {"value": -change["value"], "low": -change["high"], "high": -change["low"]}


def judged(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """The same with p-values corrected for their number, verdicts by them, and what would settle the rest."""
    done: list[Contrast] = []
    for each, corrected in zip(contrasts, holm([each["p"] for each in contrasts]), strict=True):
        clear = corrected < LEVEL
        after: Contrast = {
            **each,
            "p_holm": corrected,
            "verdict": ("better" if each["gain"]["value"] > 0 else "worse") if clear else "no difference",
            "needed": None if clear else needed(each["number"], _z_of_p(each["p"]), len(contrasts)),
        }
        done.append(after)
    return done


def _z_of_p(p: float) -> float:
    return -NormalDist().inv_cdf(p / 2)


def compare(
    a: Mapping[str, Figure],
    b: Mapping[str, Figure],
    *,
    samples: int,
    real: Mapping[str, Figure] | None = None,
    paired: Mapping[str, tuple[Ratio, Ratio]] | None = None,
    sampling: Sampling | None = None,
    metrics: Sequence[str] | None = None,
) -> list[Contrast]:
    """Every metric that both have and that has a better side, with verdicts; `samples`: texts behind the smaller one.

    A metric whose aim is real text is left out where there is no figure of real text.
    """
    paired, real = paired or {}, real or {}
    contrasts: list[Contrast] = []
    for metric in _comparable(metrics, [a, b], [real]):
        better = wording.better(metric)
        both = paired.get(metric)
        if both:
            before, after = (figure(each, sampling or Sampling()) for each in both)
        else:
            before, after = a[metric], b[metric]
        contrasts.append(
            contrast(
                metric,
                before,
                after,
                better=better,
                samples=samples,
                real=real.get(metric),
                paired=both,
                sampling=sampling,
            )
        )
    return judged(contrasts)


def compare_seeds(
    a: Sequence[Mapping[str, Figure]],
    b: Sequence[Mapping[str, Figure]],
    real: Sequence[Mapping[str, Figure]],
    metrics: Sequence[str] | None = None,
) -> list[Contrast]:
    """The same across training seeds, the s-th result of A against the s-th of B: at least two pairs.

    The spread over seeds is what counts here; it holds the spread over texts. Figures are means over seeds with
    intervals of Student's t.
    """
    assert len(a) == len(b) == len(real) >= 2
    contrasts: list[Contrast] = []
    for metric in _comparable(metrics, [*a, *b], real):
        better = wording.better(metric)
        before, after = (np.array([each[metric]["value"] for each in side]) for side in (a, b))
        change = after - before
        if better == "real":
            aim = np.array([each[metric]["value"] for each in real])
            gains = np.abs(before - aim) - np.abs(after - aim)
        else:
            gains = -change if better == "lower" else change
        gain = across_seeds(gains)
        contrasts.append(
            {
                "metric": metric,
                "better": better,
                "a": across_seeds(before),
                "b": across_seeds(after),
                "real": real[0].get(metric),
                "difference": across_seeds(change),
                "gain": gain,
                "test": SEEDS,
                "p": _student(gains),
                "p_holm": 1.0,
                "verdict": "no difference",
                "unit": "seeds",
                "number": len(gains),
                "needed": None,
                "by_seed": gains.tolist(),
            }
        )
    return judged(contrasts)


def _comparable(
    metrics: Sequence[str] | None, sides: Sequence[Mapping[str, Figure]], real: Sequence[Mapping[str, Figure]]
) -> list[str]:
    """Of these metrics, or of all, those that every result has and that have a better side that can be told."""
    shared = [name for name in (metrics or wording.ordered(sides[0])) if all(name in each for each in sides)]
    needed = {"real": real, "higher": (), "lower": ()}
    directed = [(name, way) for name in shared if (way := wording.better(name))]
    return [name for name, way in directed if all(name in each for each in needed[way])]


def across_seeds(values: Values) -> Figure:
    """The mean over seeds and its 95 % interval by Student's t."""
    mean = float(np.mean(values))
    half = student_limit(len(values) - 1) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return {"value": mean, "low": mean - half, "high": mean + half}


def _student(gains: Values) -> float:
    """Two-sided p of the paired t-test."""
    mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1)) / math.sqrt(len(gains))
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return student_p(mean / error, len(gains) - 1)


def settle(each: Contrast) -> str:
    """How much would settle it, in words; "" for what is settled."""
    if each["verdict"] != "no difference":
        return ""
    if each["needed"] is None or each["needed"] > MANY:
        return f"more than a million {each['unit']}"
    return f"about {_rounded(each['needed']):,} {each['unit']}"


def _rounded(number: int) -> int:
    """To two digits: it is an estimate."""
    scale = 10 ** max(0, len(str(number)) - 2)
    return math.ceil(number / scale) * scale


def summary(contrasts: Sequence[Contrast], a: str = "A", b: str = "B") -> str:
    """The verdict in a sentence or two."""
    labels: dict[Verdict, list[str]] = {"better": [], "worse": [], "no difference": []}
    for each in contrasts:
        labels[each["verdict"]].append(wording.metric(each["metric"]).label)
    size = "with so few seeds" if contrasts and contrasts[0]["unit"] == "seeds" else "at this sample size"
    rest = len(labels["no difference"])
    if rest == len(contrasts):
        return f"No difference between {a} and {b} {size}, on any of {rest} metrics."
    clear: list[Verdict] = ["better", "worse"]
    parts = [f"{verdict} on {', '.join(labels[verdict])}" for verdict in clear if labels[verdict]]
    tail = f" On the other {rest} there is no difference {size}." if rest else ""
    return f"{b}, held against {a}, is {'; '.join(parts)}.{tail}"
