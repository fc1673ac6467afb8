"""The two numbers of a synthetic oracle, read off temperature curves.

A model's samples get likelier under the oracle as it gets colder, and held-out text less likely under the model. So for
each limit on the one, the other is told: the lowest that straight lines between neighbouring temperatures reach. Both
belong to one distribution, the model at that temperature.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from gdcore.evaluation.comparison import across_seeds
from gdcore.evaluation.intervals import Figure
from gdcore.report import wording

X, Y = "nll_oracle", "nll_tempered"
LIMITS = (9.5, 9.0, 8.5, 8.0)
"""For the published oracle of 5,000 words; other sources get as many limits of their own."""

Measured = Mapping[tuple[str, str], Mapping[int, Mapping[str, Figure]]]
"""By system and decoding, by seed: the metrics."""


def lowest(points: Sequence[tuple[float, float]], limit: float) -> float | None:
    """The least y on the line through the points, in the order of x, where x ≤ limit; None where it never is."""
    line = sorted(points)
    reached = [y for x, y in line if x <= limit]
    for (x0, y0), (x1, y1) in pairwise(line):
        if x0 <= limit < x1:
            reached.append(y0 + (y1 - y0) * (limit - x0) / (x1 - x0))
    return min(reached, default=None)


def read(measured: Measured) -> dict[str, Any] | None:
    """`{"limits", "rows"}`; a row is a system, its figures over its seeds. None where nothing has both numbers."""
    curves: dict[str, dict[int, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for (system, _), by_seed in measured.items():
        for seed, metrics in by_seed.items():
            if {X, Y} <= metrics.keys():
                curves[system][seed].append((metrics[X]["value"], metrics[Y]["value"]))
    if not curves:
        return None
    limits = _limits([points for by_seed in curves.values() for points in by_seed.values()])
    rows = [
        {
            "system": system,
            "seeds": sorted(by_seed),
            "lowest": [_over_seeds([lowest(points, limit) for points in by_seed.values()]) for limit in limits],
        }
        for system, by_seed in curves.items()
    ]
    return {"limits": limits, "rows": rows}


def _limits(curves: Sequence[Sequence[tuple[float, float]]]) -> list[float]:
    """The published ones, where any curve crosses one of them; else as many, spread over what all curves reach."""
    spans = [(min(x for x, _ in points), max(x for x, _ in points)) for points in curves]
    if any(low <= limit <= high for low, high in spans for limit in LIMITS):
        return list(LIMITS)
    low, high = max(low for low, _ in spans), min(high for _, high in spans)
    return [round(float(limit), 2) for limit in np.linspace(max(low, high), low, len(LIMITS))]


def _over_seeds(values: Sequence[float | None]) -> Figure | None:
    """None where a seed does not come so far; a single seed has no interval of its own here."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    if len(known) == 1:
        return {"value": known[0], "low": known[0], "high": known[0]}
    return across_seeds(np.array(known))


def markdown(found: Mapping[str, Any]) -> str:
    """The same for people."""
    header = ["system", *(f"{wording.metric(X).label} ≤ {limit:g}" for limit in found["limits"])]
    lines = [[row["system"], *(_cell(figure, len(row["seeds"])) for figure in row["lowest"])] for row in found["rows"]]
    table = "\n".join("| " + " | ".join(line) + " |" for line in [header, ["---"] * len(header), *lines])
    return (
        "Two numbers: the lowest held-out NLL along a model's temperatures, where its samples are at least so likely "
        f"under the oracle (straight lines between temperatures).\n\n{table}\n"
    )


def _cell(figure: Figure | None, num_seeds: int) -> str:
    if figure is None:
        return "–"
    return f"{wording.value(figure, 3)} {wording.spread(figure, 3)}" if num_seeds > 1 else wording.value(figure, 3)
