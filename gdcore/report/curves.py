"""How a system's fine-tuning went in each of its seeds: one picture, for the system's row and page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from gdcore.report.style import CHART, COLOURS
from gdcore.report.svg import Point, Series, chart

Row = Mapping[str, Any]
PANELS = (
    ("Held-out NLL", "nats per token", "guard_valid_nll"),
    ("Real text told from generated", "share of pairs", "guard_accuracy"),
    ("Words in use", "different tokens in the guard's samples", "guard_coverage"),
)
WIDTH, HEIGHT = 400, 280


def draw(system: str, logs: Mapping[int, Sequence[Row]]) -> str | None:
    """A standalone SVG of the guard's readings over the turns, a line a seed; None where no log holds two of them.

    `logs` holds the lines of `metrics.jsonl` by seed. Turns are counted from where the generator begins to learn, which
    is the first reading; a seed that the guard stopped ends where it did.
    """
    readings = {seed: [line for line in lines if PANELS[0][2] in line] for seed, lines in sorted(logs.items())}
    if not any(len(lines) > 1 for lines in readings.values()):
        return None
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(PANELS) * WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(system)}: readings of the collapse guard over the turns of fine-tuning">',
        f'<style>{COLOURS}{CHART}</style><rect width="100%" height="100%" style="fill: var(--card)"/>',
    ]
    for number, (title, y_label, key) in enumerate(PANELS):
        lines = [
            Series("", "adv", [Point(line["step"] - found[0]["step"], line[key]) for line in found], dash=dash)
            for dash, found in enumerate(readings.values())
        ]
        drawn = chart(
            lines,
            title=title,
            x_label="turns",
            y_label=y_label,
            dashes=[f"seed {seed}" for seed in readings] if number == 0 and len(readings) > 1 else (),
            width=WIDTH,
            height=HEIGHT,
        )
        # By style, for the sheet makes a chart as wide as what it lies in.
        place = f'<svg x="{number * WIDTH}" style="width: {WIDTH}px; height: {HEIGHT}px" '
        parts.append(drawn.replace("<svg ", place, 1))
    return "\n".join([*parts, "</svg>\n"])
