"""Small pieces of HTML that the page's sections share. What is called a cell or a body is HTML already."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from gdcore.evaluation.intervals import Figure
from gdcore.report import wording


def section(name: str, title: str, *parts: str) -> str:
    """A section that the page's contents can point to; "" where it would be empty."""
    body = "\n".join(filter(None, parts))
    return f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>\n{body}</section>'


def table(header: Sequence[str] | None, lines: Iterable[Sequence[str]], *, kind: str = "", label: str = "") -> str:
    """The first cell of each line is its heading. It scrolls sideways where the screen is too narrow, by key too."""
    head = f"<thead><tr>{''.join(map(_column, header))}</tr></thead>" if header else ""
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in lines
    )
    role = f' role="region" aria-label="{escape(label)}" tabindex="0"' if label else ""
    return f'<div class="scroll"{role}><table class="{kind}">{head}<tbody>{body}</tbody></table></div>'


def _column(cell: str) -> str:
    return f'<th scope="col">{cell}</th>' if cell else "<td></td>"


def details(summary: str, body: str, *, kind: str = "", opened: bool = False) -> str:
    return (
        f'<details class="{kind}"{" open" if opened else ""}><summary>{summary}</summary>\n{body}</details>'
        if body
        else ""
    )


def figure_cell(figure: Figure | None, digits: int) -> str:
    """A value and how sure it is."""
    if figure is None:
        return '<span class="soft">–</span>'
    return f'{wording.value(figure, digits)}<span class="pm">{wording.spread(figure, digits)}</span>'


def model_name(model: str) -> str:
    """A model in its colour."""
    return f'<span class="{wording.COLOUR[model]}">{wording.MODEL[model]}</span>'


def note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""


def counts(named: Mapping[str, int]) -> str:
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{count:,}</dd></div>" for name, count in named.items())
    return f'<dl class="counts">{cells}</dl>'


def pairs(named: Mapping[str, str]) -> str:
    """Names and values, as a list of definitions."""
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in named.items())
    return f'<dl class="pairs">{cells}</dl>' if cells else ""


def marked(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    """Text with some of its stretches marked; a span is from and up to which character, and the mark's attributes.

    Spans that lie outside the text or overlap an earlier one lose what does.
    """
    parts: list[str] = []
    at = 0
    for start, end, attributes in sorted(spans):
        start, end = max(at, min(start, len(text))), min(end, len(text))
        if end > start:
            parts += [escape(text[at:start]), f"<mark{attributes}>{escape(text[start:end])}</mark>"]
            at = end
    return "".join([*parts, escape(text[at:])])
