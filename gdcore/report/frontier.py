"""Quality against diversity: one line a model and family of decodings, and what people write as a point."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from gdcore.report import wording
from gdcore.report.svg import Point, Series, chart

Row = dict[str, Any]


class Plane(NamedTuple):
    """Two metrics that pull against each other."""

    title: str
    x: str
    y: str
    x_label: str
    y_label: str
    guide: str


PLANES = (
    Plane(
        "Wording",
        "self_bleu_4",
        "bleu_4",
        "self-BLEU-4: more alike →",
        "BLEU-4: closer to real wording",
        "Sharper decoding moves a model up (wording that real text has) and right (texts that resemble one another). "
        "The better model is higher at the same place on the horizontal axis.",
    ),
    Plane(
        "Language models",
        "lm_score",
        "reverse_lm",
        "LM score: samples surprise a model of real text, nats a word →",
        "reverse LM: real text surprises a model of the samples",
        "An independent language model, learnt from real text and asked about the samples, and the other way round. "
        "Lower is better on both; the better model lies nearer to the lower left.",
    ),
)


def charts(rows: Sequence[Row]) -> list[tuple[Plane, str]]:
    """The planes of which both metrics were measured, each with its picture."""
    drawn = [(plane, _drawn(plane, rows)) for plane in PLANES]
    return [(plane, picture) for plane, picture in drawn if picture]


def _drawn(plane: Plane, rows: Sequence[Row]) -> str:
    series: list[Series] = []
    families: list[str] = []
    for model in wording.MODEL:
        points: dict[str, list[Point]] = {}
        for row in rows:
            if row["model"] == model and {plane.x, plane.y} <= row["metrics"].keys():
                family = wording.family(row["decoding"])
                points.setdefault(family, []).append(_point(plane, row))
                families += [family] * (family not in families and model != "real")
        for family, found in points.items():
            first = family == next(iter(points))
            dash = families.index(family) if model != "real" else 0
            # Only the main family is labelled point by point: the others would run into one another.
            name = wording.MODEL[model] if first else ""
            series.append(Series(name, wording.COLOUR[model], found, dash=dash, about=family, labels=first))
    if not any(each.points for each in series):
        return ""
    about = f"{plane.guide} " + " ".join(f"{each.name}: {len(each.points)} points." for each in series if each.name)
    dashes = families if len(families) > 1 else []
    return chart(
        series, title=plane.title, x_label=plane.x_label, y_label=plane.y_label, about=about, dashes=dashes,
        width=760, height=440,
    )  # fmt: skip


def _point(plane: Plane, row: Row) -> Point:
    x, y = row["metrics"][plane.x], row["metrics"][plane.y]
    return Point(
        x["value"], y["value"], (x["low"], x["high"]), (y["low"], y["high"]), wording.decoding(row["decoding"])
    )
