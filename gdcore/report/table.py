"""The same figures in a terminal: models side by side with real text, and a few texts of each."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from gdcore.report import wording

STYLE = {"real": "green", "pretrained": "blue", "finetuned": "dark_orange"}
MAIN = ("nll", "bleu_2", "bleu_3", "bleu_4", "bleu_5", "self_bleu_2", "self_bleu_3", "self_bleu_4", "self_bleu_5",
        "distinct_2", "unique", "copy_rate", "vocabulary_coverage", "length")  # fmt: skip


def render(evaluation: dict[str, Any]) -> Table:
    """Metrics down, models across, at the decoding that selection looked at; each figure ± half its 95 % interval."""
    rows = wording.main_rows(evaluation)
    decoding = next((wording.decoding(row["decoding"]) for row in rows.values() if row["decoding"]), "")
    counts = next(reversed(rows.values()))["counts"]
    selected = evaluation["selection"]["selected"]
    table = Table(
        title=f"{counts['samples']:,} samples at {decoding} against {counts['references']:,} real texts",
        caption=f"protocol {evaluation['protocol']} · 95 % intervals",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    for model in ("pretrained", "finetuned", "real"):
        if model in rows:
            mark = " ✓ selected" if model == selected else ""
            table.add_column(wording.MODEL[model] + mark, justify="right", header_style=STYLE[model])
    for name in MAIN:
        if any(name in row["metrics"] for row in rows.values()):
            shown = wording.metric(name)
            figures = [
                rows[model]["metrics"].get(name) for model in ("pretrained", "finetuned", "real") if model in rows
            ]
            cells = [_cell(figure, shown.digits) for figure in figures]
            table.add_row(shown.label, *cells)
    return table


def render_samples(evaluation: dict[str, Any], number: int = 5) -> Table:
    """A few texts of each model and of real text."""
    table = Table(title="Samples, unchosen", title_justify="left", show_header=False, padding=(0, 1))
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold")
    for model in ("real", "pretrained", "finetuned"):
        for i, sample in enumerate(evaluation["samples"].get(model, [])[:number]):
            name = f"[{STYLE[model]}]{wording.MODEL[model]}[/]" if i == 0 else ""
            table.add_row(name, escape(wording.quoted(sample)) or "[dim](empty)[/]")
        table.add_section()
    return table


def _cell(figure: dict[str, float] | None, digits: int) -> str:
    if figure is None:
        return "[dim]–[/]"
    shown: Any = figure
    return f"{wording.value(shown, digits)} [dim]{wording.spread(shown, digits)}[/]"
