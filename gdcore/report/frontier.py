"""Quality against diversity: one line a model and family of decodings, and what people write as a point."""

from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from gdcore.evaluation.frontier import frontier
from gdcore.report import wording
from gdcore.report.markup import details, model_name, note, section, table
from gdcore.report.planes import PLANES
from gdcore.report.svg import Point, Series, chart

Row = dict[str, Any]


class Picture(NamedTuple):
    """One plane, drawn."""

    title: str
    guide: str
    """How to read it."""
    svg: str


def planes(result: Row) -> dict[str, Any]:
    """The evaluation's frontier; worked out from the rows where it holds none."""
    return result.get("frontier") or frontier(result["rows"])


def pictures(result: Row) -> list[Picture]:
    """Every plane of which both metrics were measured."""
    found = planes(result)
    size = (760, 480) if len(found) == 1 else (560, 420)
    return [
        Picture(PLANES[name].title, PLANES[name].guide, _drawn(name, plane, *size)) for name, plane in found.items()
    ]


def quality_and_diversity(result: Row) -> str:
    """The pictures side by side, and which curve beats which."""
    drawn = pictures(result)
    if not drawn:
        return ""
    cards = "".join(
        f'<figure class="card">{each.svg}<figcaption>{escape(each.guide)}</figcaption></figure>' for each in drawn
    )
    return section(
        "frontier",
        "Quality against diversity",
        note(
            "Each point is one decoding, crosses are 95 % intervals; the green lozenge is what people write. Every "
            "line begins at the model as it is (T=1)."
        ),
        f'<div class="{"cards planes" if len(drawn) > 1 else "one"}">{cards}</div>',
        *(_matches(PLANES[name].title, plane["matched"]) for name, plane in planes(result).items()),
    )


def _drawn(name: str, plane: Row, width: int, height: int) -> str:
    families = list(dict.fromkeys(curve["family"] for curve in plane["curves"]))
    real, series, named = plane["real"], list[Series](), set[str]()
    for curve in plane["curves"]:
        model, family = curve["model"], curve["family"]
        points = [_point(each["x"], each["y"], wording.decoding(each["decoding"])) for each in curve["points"]]
        # Only the first family is labelled point by point: the others would run into one another.
        series.append(
            Series(
                "" if model in named else wording.MODEL[model],
                wording.COLOUR[model],
                points,
                dash=families.index(family),
                about=family,
                labels=family == families[0],
            )
        )
        named.add(model)
    if real:
        series.append(Series(wording.MODEL["real"], wording.COLOUR["real"], [_point(real["x"], real["y"], "")]))
    words = PLANES[name]
    return chart(
        series,
        title=words.title,
        x_label=words.x_label,
        y_label=words.y_label,
        about=words.guide,
        dashes=families if len(families) > 1 else (),
        width=width,
        height=height,
    )


def _point(x: Row, y: Row, label: str) -> Point:
    return Point(x["value"], y["value"], (x["low"], x["high"]), (y["low"], y["high"]), label)


def _matches(title: str, matched: Sequence[Row]) -> str:
    """Which curve is better at equal diversity, in words, and by how much area."""
    lines = [
        [
            f"{_curve(each['b'])} <span class='soft'>against</span> {_curve(each['a'])}",
            _signed(each["gain"]) if each["gain"] else '<span class="soft">nothing in common</span>',
            _signed(each["hypervolume"]),
            _verdict(each["verdict"]),
        ]
        for each in matched
    ]
    if not lines:
        return ""
    header = ["", "gain at equal diversity", "area gained", ""]
    told = note(
        "The gain is along the vertical axis, averaged over the diversity that both reach, and positive where the "
        "first is better; verdicts are corrected for their number (Holm)."
    )
    return details(
        f"{title}: which curve is better", told + table(header, lines, kind="criteria", label=f"{title}: curves")
    )


def _curve(curve: Sequence[str]) -> str:
    model, family = curve
    return f"{model_name(model)} {escape(family)}"


def _signed(figure: Row) -> str:
    value, low, high = (wording.signed(figure[part], 3) for part in ("value", "low", "high"))
    return f'{value} <span class="pm">{low} to {high}</span>'


def _verdict(verdict: str | None) -> str:
    colour = {"better": "good", "worse": "bad"}.get(verdict or "", "soft")
    return f'<span class="{colour}">{verdict or "–"}</span>'
