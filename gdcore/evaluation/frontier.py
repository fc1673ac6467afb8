"""Quality against diversity over decodings: curves, compared where they are equally diverse, by area, and by distance.

One temperature makes a model safe and monotonous, another daring and wrong, so a model is a curve. Two are compared

- by **matched diversity**: what each reaches on one axis where the other axis is the same, between its decodings by
  straight lines (Caccia et al. 2020 compare language GANs so);
- by **hyper-volume**: the area that a curve's points dominate, down to a fixed reference point (Zitzler and Thiele
  1998); it needs the same decodings on both sides;
- by the **distance to real text**, which is what all this is for.

Intervals come from the figures' own: matched differences and areas from draws of every point within its interval
(normal on each side, both axes and all points independent of one another), distances from the limits of both axes.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple, NotRequired

import numpy as np
from typing_extensions import TypedDict

from gdcore.evaluation.intervals import NORMAL, Figure, Values, difference
from gdcore.evaluation.significance import LEVEL, holm, p_of
from gdcore.report import wording

DRAWS = 1000
LEVELS = 5
"""Places at which two curves are compared; evenly spread over what both reach."""
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "candidates": 1}
"""The model as it is: where every family of decodings begins."""

Verdict = Literal["better", "worse", "no difference"]


class Plane(NamedTuple):
    """Two metrics that pull against each other, and the point that areas are measured from."""

    name: str
    x: str
    y: str
    x_sign: int
    """1 where more is better, −1 where less is."""
    y_sign: int
    corner: tuple[float, float]
    """Worse than anything that is compared, on both axes."""


PLANES = (
    Plane("wording", "self_bleu_4", "bleu_4", -1, 1, (1.0, 0.0)),
    Plane("language_models", "lm_score", "reverse_lm", -1, -1, (10.0, 10.0)),
    Plane("oracle", "nll_oracle", "nll_tempered", -1, -1, (12.0, 12.0)),
)


class CurvePoint(TypedDict):
    """One decoding of one model."""

    decoding: dict[str, Any]
    x: Figure
    y: Figure
    distance: NotRequired[Figure]
    """To the real-text point, in the plane's own units."""


class Curve(TypedDict):
    """A model under a family of decodings, from the most diverse to the least."""

    model: str
    family: str
    points: list[CurvePoint]
    hypervolume: Figure


class Level(TypedDict):
    """Two curves where they are equally diverse."""

    x: float
    a: float
    b: float
    difference: Figure
    """B − A in y."""


class Match(TypedDict):
    """Two curves; B against A."""

    a: tuple[str, str]
    """Model and family."""
    b: tuple[str, str]
    levels: list[Level]
    """Empty where they have no diversity in common."""
    gain: Figure | None
    """By how much B is better in y, averaged over the diversity that both reach."""
    verdict: Verdict | None
    """By the gain's interval, corrected for the number of pairs in the plane."""
    hypervolume: Figure
    """B − A."""


class PlaneFrontier(TypedDict):
    """One plane."""

    name: str
    x: str
    y: str
    better: dict[str, Literal["higher", "lower"]]
    corner: dict[str, float]
    """The point that areas are measured from."""
    real: dict[str, Figure] | None
    """What real text has."""
    curves: list[Curve]
    matched: list[Match]


Frontier = dict[str, PlaneFrontier]


class Cloud(NamedTuple):
    """A curve and draws of it; P points, R draws, the first of which is the curve as measured."""

    x_RP: Values
    y_RP: Values


def frontier(rows: Sequence[Any], seed: int = 0) -> Frontier:
    """Every plane that the rows of an evaluation have figures for, by name; the same for the same rows."""
    found = ((plane, _plane(plane, rows, seed)) for plane in PLANES)
    return {plane.name: each for plane, each in found if each is not None}


def _plane(plane: Plane, rows: Sequence[Any], seed: int) -> PlaneFrontier | None:
    rows = [row for row in rows if {plane.x, plane.y} <= row["metrics"].keys()]
    curves = list(_curves(plane, [row for row in rows if row["decoding"] is not None]))
    if not curves:
        return None
    real = next((row["metrics"] for row in rows if row["decoding"] is None), None)
    rng = np.random.default_rng(seed)
    clouds: dict[tuple[str, str], Cloud] = {}
    for curve in curves:
        clouds[curve["model"], curve["family"]] = cloud = _cloud(curve["points"], rng)
        curve["hypervolume"] = _interval(_areas(plane, cloud))
        if real:
            for point in curve["points"]:
                point["distance"] = distance(point, real[plane.x], real[plane.y])
    sides: dict[int, Literal["higher", "lower"]] = {1: "higher", -1: "lower"}
    return {
        "name": plane.name,
        "x": plane.x,
        "y": plane.y,
        "better": {"x": sides[plane.x_sign], "y": sides[plane.y_sign]},
        "corner": {"x": plane.corner[0], "y": plane.corner[1]},
        "real": {"x": real[plane.x], "y": real[plane.y]} if real else None,
        "curves": curves,
        "matched": _judged([_match(plane, a, b, clouds) for a, b in _pairs(clouds)]),
    }


def _curves(plane: Plane, rows: Sequence[Any]) -> Iterable[Curve]:
    """A curve a model and family; the model as it is begins each of its families."""
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        plain = [row for row in own if all(row["decoding"].get(key, value) == value for key, value in PLAIN.items())]
        for family in dict.fromkeys(wording.family(row["decoding"]) for row in own):
            members = [row for row in own if wording.family(row["decoding"]) == family and row not in plain]
            points: list[CurvePoint] = [
                {"decoding": row["decoding"], "x": row["metrics"][plane.x], "y": row["metrics"][plane.y]}
                for row in [*plain, *members]
            ]
            points.sort(key=lambda point: -plane.x_sign * point["x"]["value"])
            yield {"model": model, "family": family, "points": points, "hypervolume": _exactly(0.0)}


def _pairs(curves: Iterable[tuple[str, str]]) -> Iterable[tuple[tuple[str, str], tuple[str, str]]]:
    """Which curves are held against one another, the one to beat first.

    Each model against the first one under the same family; each family against a model's temperature; and each model's
    temperature against the first model's likelihood rejection, which a model has to beat that claims to be better.
    """
    known = list(curves)
    first = known[0][0]
    temperature, rejection = wording.family({"temperature": 1.0}), wording.family({"temperature": 1.0, **_REJECTION})
    pairs = [((first, family), (model, family)) for model, family in known if model != first]
    pairs += [((model, temperature), (model, family)) for model, family in known if family != temperature]
    pairs += [((first, rejection), (model, temperature)) for model, family in known if family == temperature]
    return [(a, b) for a, b in dict.fromkeys(pairs) if a in known and b in known and a != b]


_REJECTION = {"candidates": 2, "choose": "likelihood"}


def _cloud(points: Sequence[CurvePoint], rng: np.random.Generator) -> Cloud:
    def drawn(axis: Literal["x", "y"]) -> Values:
        value_P, low_P, high_P = (
            np.array([point[axis][part] for point in points]) for part in ("value", "low", "high")
        )
        z_RP = rng.standard_normal((DRAWS + 1, len(points)))
        z_RP[0] = 0
        return value_P + z_RP * np.where(z_RP > 0, high_P - value_P, value_P - low_P) / NORMAL

    return Cloud(drawn("x"), drawn("y"))


def _match(plane: Plane, a: tuple[str, str], b: tuple[str, str], clouds: dict[tuple[str, str], Cloud]) -> Match:
    of_a, of_b = clouds[a], clouds[b]
    area = _interval(_areas(plane, of_b) - _areas(plane, of_a))
    low = max(of_a.x_RP[0].min(), of_b.x_RP[0].min())
    high = min(of_a.x_RP[0].max(), of_b.x_RP[0].max())
    if low >= high:
        return {"a": a, "b": b, "levels": [], "gain": None, "verdict": None, "hypervolume": area}
    # The middles of equal parts: their mean is the mean over the whole width.
    x_L = low + (high - low) * (np.arange(LEVELS) + 0.5) / LEVELS
    a_RL, b_RL = interpolated(of_a, x_L), interpolated(of_b, x_L)
    levels: list[Level] = [
        {"x": float(x), "a": float(a_RL[0, i]), "b": float(b_RL[0, i]), "difference": _interval((b_RL - a_RL)[:, i])}
        for i, x in enumerate(x_L)
    ]
    gain = _interval(plane.y_sign * (b_RL - a_RL).mean(axis=1))
    return {"a": a, "b": b, "levels": levels, "gain": gain, "verdict": None, "hypervolume": area}


def _judged(matches: list[Match]) -> list[Match]:
    """With a verdict each, the p-values corrected for being several (Holm)."""
    compared = [(each, each["gain"]) for each in matches if each["gain"]]
    for (each, gain), p in zip(compared, holm([p_of(gain) for _, gain in compared]), strict=True):
        each["verdict"] = "no difference" if p >= LEVEL else "better" if gain["value"] > 0 else "worse"
    return matches


def interpolated(cloud: Cloud, x_L: Values) -> Values:
    """y at these places (R, L), by straight lines between neighbours along x."""
    order_RP = np.argsort(cloud.x_RP, axis=1)
    x_RP, y_RP = (np.take_along_axis(each, order_RP, axis=1) for each in cloud)
    right_RL = (x_RP[:, None, :] <= x_L[:, None]).sum(axis=2).clip(1, x_RP.shape[1] - 1)
    ends = [np.take_along_axis(each, side_RL, axis=1) for each in (x_RP, y_RP) for side_RL in (right_RL - 1, right_RL)]
    left_x_RL, right_x_RL, left_y_RL, right_y_RL = ends
    share_RL = ((x_L - left_x_RL) / np.maximum(right_x_RL - left_x_RL, 1e-12)).clip(0, 1)
    return left_y_RL + share_RL * (right_y_RL - left_y_RL)


def _areas(plane: Plane, cloud: Cloud) -> Values:
    """The hyper-volume of every draw (R,)."""
    corner_x, corner_y = plane.corner
    across_RP = np.maximum(0, plane.x_sign * (cloud.x_RP - corner_x))
    up_RP = np.maximum(0, plane.y_sign * (cloud.y_RP - corner_y))
    return hypervolume(across_RP, up_RP)


def hypervolume(across_RP: Values, up_RP: Values) -> Values:
    """The area (R,) of the union of the rectangles from the corner to each point, on axes where more is better."""
    order_RP = np.argsort(-across_RP, axis=1)
    across_RP, up_RP = (np.take_along_axis(each, order_RP, axis=1) for each in (across_RP, up_RP))
    widths_RP = across_RP - np.pad(across_RP, ((0, 0), (0, 1)))[:, 1:]
    return (np.maximum.accumulate(up_RP, axis=1) * widths_RP).sum(axis=1)


def distance(point: CurvePoint, real_x: Figure, real_y: Figure) -> Figure:
    """How far a point lies from real text; the limits are the nearest and the farthest that both axes' intervals allow.

    Wider than it need be, and right where the distance is nothing but noise, which a resampled distance never is.
    """
    of_x, of_y = difference(real_x, point["x"]), difference(real_y, point["y"])
    nearest = [
        0.0 if each["low"] < 0 < each["high"] else min(abs(each["low"]), abs(each["high"])) for each in (of_x, of_y)
    ]
    farthest = [max(abs(each["low"]), abs(each["high"])) for each in (of_x, of_y)]
    return {
        "value": math.hypot(of_x["value"], of_y["value"]),
        "low": math.hypot(*nearest),
        "high": math.hypot(*farthest),
    }


def _interval(drawn_R: Values) -> Figure:
    """The first is the value, the others its spread: their standard deviation, since draws of a maximum are biased."""
    value, half = float(drawn_R[0]), NORMAL * float(np.std(drawn_R[1:], ddof=1))
    return {"value": value, "low": value - half, "high": value + half}


def _exactly(value: float) -> Figure:
    return {"value": value, "low": value, "high": value}
