"""Pictures the height of a line of text, for a table's cells. The cells beside them hold the same in numbers."""

from collections.abc import Mapping

from gdcore.evaluation.intervals import Figure
from gdcore.report.svg import mark

WIDTH, HEIGHT, EDGE = 150, 22, 8


def interval(change: Figure, colour: str) -> str:
    """A difference with its interval, zero in the middle."""
    reach = max(abs(change["low"]), abs(change["high"]), abs(change["value"])) or 1.0

    def place(value: float) -> float:
        return WIDTH / 2 + value / reach * (WIDTH / 2 - EDGE)

    low, high, middle = place(change["low"]), place(change["high"]), HEIGHT / 2
    return _picture(
        f'<line class="zero" x1="{WIDTH / 2}" x2="{WIDTH / 2}" y1="1" y2="{HEIGHT - 1}"/>'
        f'<line class="whisker {colour}" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="dot {colour}" cx="{place(change["value"]):.1f}" cy="{middle}" r="4"/>'
    )


def strip(figures: Mapping[str, Figure]) -> str:
    """Figures by colour on one scale, from the least limit to the greatest; "" for fewer than two."""
    if len(figures) < 2:
        return ""
    least = min(figure["low"] for figure in figures.values())
    reach = (max(figure["high"] for figure in figures.values()) - least) or 1.0

    def place(value: float) -> float:
        return EDGE + (value - least) / reach * (WIDTH - 2 * EDGE)

    rows = {colour: (i + 0.5) / len(figures) * (HEIGHT - 2) + 1 for i, colour in enumerate(figures)}
    parts = [
        f'<line class="whisker {colour}" x1="{place(figure["low"]):.1f}" x2="{place(figure["high"]):.1f}" '
        f'y1="{rows[colour]:.1f}" y2="{rows[colour]:.1f}"/>' + mark(colour, place(figure["value"]), rows[colour], 3)
        for colour, figure in figures.items()
    ]
    if "real" in figures:
        x = place(figures["real"]["value"])
        parts.insert(0, f'<line class="zero" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>')
    return _picture("".join(parts))


def _picture(inside: str) -> str:
    return (
        f'<svg class="chart strip" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'aria-hidden="true">{inside}</svg>'
    )
