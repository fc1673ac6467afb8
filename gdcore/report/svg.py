"""Line charts as SVG, drawn without any library: axes with round numbers, ranges, labels, a legend.

Colours are classes (`mle`, `adv`, `real`) that the page's style sheet fills in, and each has its own shape of mark for
those who do not tell colours apart; `standalone` carries the sheet along.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from gdcore.report.style import CHART, COLOURS

LEFT, RIGHT, TOP, BOTTOM = 58, 18, 40, 46
SIGNS = {"adv": "■", "real": "◆"}


class Point(NamedTuple):
    """Where, how sure (low and high of each axis, where known), and what to write beside it."""

    x: float
    y: float
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    label: str = ""


class Series(NamedTuple):
    """One line, or a lone point."""

    name: str
    colour: str
    points: Sequence[Point]
    marks: bool = True
    dash: int = 0
    """Which of the dashed lines it is; 0 is solid."""
    about: str = ""
    """What its points have in common: stands in their tips."""
    labels: bool = True
    """Whether the points' labels stand beside them, or in their tips alone."""


class Scale(NamedTuple):
    """From data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    about: str = "",
    dashes: Sequence[str] = (),
    width: int = 640,
    height: int = 400,
) -> str:
    """An `<svg>` element. Lines are drawn through their points in the order given.

    `about` is what a reader who does not see it is told; `dashes` names the kinds of line, the solid one first.
    """
    series = [each for each in series if each.points]
    assert series, "a chart needs at least one point"
    x_ticks = ticks([value for each in series for p in each.points for value in (p.x, *(p.x_range or ()))], 7)
    y_ticks = ticks([value for each in series for p in each.points for value in (p.y, *(p.y_range or ()))], 6)
    x_scale = Scale(x_ticks[0], x_ticks[-1], LEFT, width - RIGHT)
    y_scale = Scale(y_ticks[0], y_ticks[-1], height - BOTTOM, TOP)
    parts = [
        f'<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(". ".join(filter(None, [title, about])))}">',
        _text(LEFT, 16, title, "title"),
        *(_line(LEFT, y_scale(y), width - RIGHT, y_scale(y), "grid") for y in y_ticks),
        *(_text(LEFT - 8, y_scale(y) + 4, _number(y, y_ticks), "tick", "end") for y in y_ticks),
        *(_text(x_scale(x), height - BOTTOM + 18, _number(x, x_ticks), "tick", "middle") for x in x_ticks),
        _text((LEFT + width - RIGHT) / 2, height - 8, x_label, "axis", "middle"),
        _text(LEFT, 33, f"↑ {y_label}", "axis"),
    ]
    for each in series:
        others = [other for other in series if other is not each and len(other.points) > 1]
        parts += _draw(each, others, x_scale, y_scale)
    parts += [*_legend(series, width), *_dashes(dashes, width), "</svg>"]
    return "\n".join(parts)


def mark(colour: str, x: float, y: float, size: float, tip: str = "") -> str:
    """A point: a square for the adversarial model, a lozenge for real text, else a disc."""
    kind = f'class="mark {colour}"'
    if colour == "adv":
        return f'<rect {kind} x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}">{tip}</rect>'
    if colour == "real":
        reach = size * 1.4
        corners = ((x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y))
        points = " ".join(f"{at:.1f},{height:.1f}" for at, height in corners)
        return f'<polygon {kind} points="{points}">{tip}</polygon>'
    return f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="{size}">{tip}</circle>'


def standalone(svg: str) -> str:
    """The same picture as a file of its own."""
    head, body = svg.split(">", 1)
    paper = '<rect width="100%" height="100%" style="fill: var(--card)"/>'
    return f"{head}>\n<style>{COLOURS}{CHART}</style>{paper}{body}\n"


def ticks(values: Sequence[float], about: int) -> list[float]:
    """Round numbers, about so many, from below the least value to above the greatest."""
    low, high = min(values), max(values)
    if high - low <= 1e-6 * max(abs(low), abs(high)):  # a flat line: rounding would make one tick of them all
        low, high = low - (abs(low) or 1) * 0.1, high + (abs(high) or 1) * 0.1
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _draw(series: Series, others: Sequence[Series], x_scale: Scale, y_scale: Scale) -> list[str]:
    """Ranges, line, marks; labels on the side that is turned away from the other lines."""
    parts: list[str] = []
    for p in series.points:
        x, y = x_scale(p.x), y_scale(p.y)
        if p.x_range:
            parts.append(_line(x_scale(p.x_range[0]), y, x_scale(p.x_range[1]), y, f"range {series.colour}"))
        if p.y_range:
            parts.append(_line(x, y_scale(p.y_range[0]), x, y_scale(p.y_range[1]), f"range {series.colour}"))
    if len(series.points) > 1:
        path = " ".join(f"{x_scale(p.x):.1f},{y_scale(p.y):.1f}" for p in series.points)
        parts.append(f'<polyline class="line {series.colour} dash{series.dash}" points="{path}"/>')
    if series.marks:
        for p in series.points:
            x, y = x_scale(p.x), y_scale(p.y)
            name = ", ".join(filter(None, [series.name, series.about, p.label]))
            tip = f"<title>{escape(name)}: {p.x:.4g}, {p.y:.4g}</title>"
            parts.append(mark(series.colour, x, y, 5 if series.colour == "mle" else 4.5, tip))
            if not series.labels:
                continue
            above = all(p.y >= _height(other.points, p.x) for other in others)
            parts.append(
                _text(
                    *((x - 8, y - 9) if above else (x + 8, y + 18)), p.label, series.colour, "end" if above else "start"
                )
            )
    return parts


def _height(points: Sequence[Point], x: float) -> float:
    """How high a line runs at x; beyond its ends, as high as its last stretch leads."""
    left, right = sorted(sorted(points, key=lambda p: abs(p.x - x))[:2])
    if left.x == right.x:
        return (left.y + right.y) / 2
    return left.y + (x - left.x) / (right.x - left.x) * (right.y - left.y)


def _legend(series: Sequence[Series], width: int) -> list[str]:
    """Names in their colours, from the right edge leftwards above the plot."""
    parts: list[str] = []
    x = width - RIGHT
    for each in reversed([each for each in series if each.name]):
        parts.append(_text(x, 33, f"{SIGNS.get(each.colour, '●')} {each.name}", each.colour, "end"))
        x -= 6.4 * len(each.name) + 32
    return parts


def _dashes(names: Sequence[str], width: int) -> list[str]:
    """What a solid and each dashed line stands for, along the plot's upper edge, in as many rows as that takes."""
    parts: list[str] = []
    x, y = LEFT + 8, TOP + 12
    for dash, name in enumerate(names):
        taken = 7 * len(name) + 54
        if dash and x + taken > width - RIGHT:
            x, y = LEFT + 8, y + 16
        parts.append(f'<line class="line plain dash{dash}" x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}"/>')
        parts.append(_text(x + 31, y + 4, name, "axis"))
        x += taken
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>' if text else ""


def _number(value: float, among: Sequence[float]) -> str:
    step = among[1] - among[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    digits += round(step * 10**digits, 6) % 1 != 0
    return f"{value:,.{digits}f}"
