"""What a difference is worth: p-values from intervals, Student's t across seeds, Holm's correction, samples needed.

A 95 % interval knows its standard error: the distance from the value to its limit is 1.96 of them. So a difference is
tested with nothing but its interval, and p < .05 exactly when the interval leaves zero out.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from gdcore.evaluation.intervals import NORMAL, Figure

LEVEL = 0.05
POWER = 0.8
"""How surely a number of samples said to be needed would show a difference that is as large as the one measured."""


def z_of(difference: Figure) -> float:
    """A difference in its standard errors, by the limit on the side of zero; 0 for none, ±inf where it is certain."""
    value = difference["value"]
    if value == 0:
        return 0.0
    error = (value - difference["low"] if value > 0 else difference["high"] - value) / NORMAL
    return value / error if error > 0 else math.copysign(math.inf, value)


def p_of(difference: Figure) -> float:
    """Two-sided: how often a difference as large comes about by chance where there is none."""
    return math.erfc(abs(z_of(difference)) / math.sqrt(2))


def student_p(t: float, freedom: int) -> float:
    """Two-sided p of Student's t; the finite series for whole degrees of freedom (Abramowitz and Stegun 26.7.3–4)."""
    if math.isinf(t):
        return 0.0
    angle = math.atan(abs(t) / math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = total = (cosine if odd else 1.0) if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return min(1.0, max(0.0, 1 - inside))


def student_limit(freedom: int) -> float:
    """Half-width of a 95 % interval in standard errors, by bisection."""
    low, high = 0.0, 1000.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, freedom) > LEVEL else (low, middle)
    return high


def holm(ps: Sequence[float]) -> list[float]:
    """p-values corrected for being many (Holm 1979): the smallest times their number, the next times one less, …

    None smaller than one before it, none above 1. Rejecting where the result is below 5 % errs anywhere in the family
    in at most 5 % of cases, however the metrics hang together.
    """
    corrected = [0.0] * len(ps)
    worst = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = worst
    return corrected


def needed(number: int, z: float, family: int) -> int | None:
    """How many samples would show a difference of the size measured, at 5 % in a family of so many, 4 times in 5.

    An interval shrinks with the root of the number. None where no difference was measured at all.
    """
    if z == 0 or math.isinf(z):
        return None
    normal = NormalDist()
    wanted = normal.inv_cdf(1 - LEVEL / (2 * family)) + normal.inv_cdf(POWER)
    return max(2, math.ceil(number * (wanted / z) ** 2))
