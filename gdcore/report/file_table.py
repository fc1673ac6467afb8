"""An evaluation of text files in a terminal: figures by family beside real text, by label, and what they rest on."""

from collections.abc import Iterator
from typing import Any

from rich.markup import escape
from rich.table import Table

from gdcore.report import wording
from gdcore.report.table import cell

NAMES = {"samples": "samples", "real": "real text"}
MOST = 3
"""Rows of an exhibit that a terminal is spared for; `evaluation.json` has them all."""
LABELS = 20


def render(evaluation: dict[str, Any]) -> Table:
    """Metrics down, samples and real text across, each figure with its 95 % interval."""
    rows = {row["model"]: row for row in evaluation["rows"]}
    told = rows["samples"]["counts"]
    trained = f", {told['train']:,} training texts" if told["train"] else ""
    table = Table(
        title=f"{told['samples']:,} samples against {told['references']:,} real texts{trained}, in {told['words']}",
        caption=f"protocol {evaluation['protocol']} · 95 % intervals{_origin(rows)}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    shown = [model for model in NAMES if model in rows]
    for model in shown:
        table.add_column(NAMES[model], justify="right", header_style="green" if model == "real" else "blue")
    names = wording.ordered(rows["samples"]["metrics"])
    for family, about in wording.FAMILIES.items():
        inside = [name for name in names if wording.metric(name).family == family]
        if inside:
            table.add_row(f"[bold]{about.partition(': ')[0]}[/]", *("" for _ in shown))
        for name in inside:
            metric = wording.metric(name)
            cells = [cell(rows[model]["metrics"].get(name), metric.digits) for model in shown]
            table.add_row(f"  {metric.label}", *cells)
    return table


def render_labels(evaluation: dict[str, Any]) -> Table | None:
    """A line a label, the most frequent first; None where there are no labels."""
    labels: list[dict[str, Any]] = evaluation.get("labels", [])
    if not labels:
        return None
    names = wording.ordered(name for each in labels for name in each["metrics"])
    left = f"; {len(labels) - LABELS:,} more in evaluation.json" if len(labels) > LABELS else ""
    table = Table(title="By label, all at the same sizes", title_justify="left", caption=f"{len(labels)} labels{left}")
    for column in ("label", "samples", "references", *(wording.metric(name).label for name in names)):
        table.add_column(column, justify="left" if column == "label" else "right")
    for each in labels[:LABELS]:
        cells = [cell(each["metrics"].get(name), wording.metric(name).digits) for name in names]
        if "note" in each and cells:
            cells[0] = f"[dim]{each['note']}[/]"
        table.add_row(escape(each["label"]), f"{each['samples']:,}", f"{each['references']:,}", *cells)
    return table


def render_exhibits(evaluation: dict[str, Any]) -> Iterator[Table]:
    """The first rows of each exhibit of the samples."""
    row = next(row for row in evaluation["rows"] if row["model"] == "samples")
    for exhibit in row["exhibits"]:
        if not exhibit["rows"]:
            continue
        table = Table(title=exhibit["title"], title_justify="left", caption=exhibit["about"], caption_justify="left")
        for column, first in zip(exhibit["columns"], exhibit["rows"][0], strict=True):
            # A number keeps its room, however long the texts beside it.
            number = not isinstance(first, str)
            table.add_column(column, overflow="fold", min_width=len(column) if number else None)
        for cells in exhibit["rows"][:MOST]:
            table.add_row(*(escape(f"{cell:.3g}" if isinstance(cell, float) else str(cell)) for cell in cells))
        yield table


def _origin(rows: dict[str, Any]) -> str:
    """Where the row of real text comes from."""
    counts = rows["real"]["counts"] if "real" in rows else {}
    if "from_train" in counts:
        return f" · real text: {counts['samples']:,} training texts, left out of what copies are looked for in"
    if "from_references" in counts:
        return f" · real text: {counts['samples']:,} references against the other {counts['references']:,}"
    return ""
