"""The same figures in a terminal: models side by side with real text, and a few texts of each."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from gdcore.report import wording

STYLE = {"real": "green", "pretrained": "blue", "finetuned": "dark_orange"}


def render(evaluation: dict[str, Any]) -> Table:
    """Headline metrics down, models across, at the decoding that selection looked at; each ± half its 95 % interval."""
    rows = wording.main_rows(evaluation)
    decoding = next((wording.decoding(row["decoding"]) for row in rows.values() if row["decoding"]), "")
    counts = next(reversed(rows.values()))["counts"]
    selected = evaluation["selection"]["selected"]
    measured = {name for row in rows.values() for name in row["metrics"]}
    headlines = [name for name in measured if wording.metric(name).headline] or measured
    rest = len(measured) - len(headlines)
    more = f" · {rest} more figures in the report" if rest else ""
    table = Table(
        title=f"{counts['samples']:,} samples at {decoding} against {counts['references']:,} real texts",
        caption=f"protocol {evaluation['protocol']} · 95 % intervals{more}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("")
    for model in ("pretrained", "finetuned", "real"):
        if model in rows:
            mark = " ✓ selected" if model == selected else ""
            table.add_column(wording.MODEL[model] + mark, justify="right", header_style=STYLE[model])
    models = [model for model in ("pretrained", "finetuned", "real") if model in rows]
    for names in wording.by_family(headlines).values():
        for name in names:
            shown = wording.metric(name)
            cells = [cell(rows[model]["metrics"].get(name), shown.digits) for model in models]
            table.add_row(shown.label, *cells)
        table.add_section()
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


def cell(figure: Any, digits: int) -> str:
    """A value, and its interval where it does not catch the eye; a dash where there is none."""
    if figure is None:
        return "[dim]–[/]"
    return f"{wording.value(figure, digits)} [dim]{wording.spread(figure, digits)}[/]"
