"""Samples side by side, each with the discriminator's verdict and the training text it resembles most.

Everything stands in the page; the script only sorts and hides.
"""

from html import escape
from typing import Any

from gdcore.report import wording
from gdcore.report.markup import marked, note, section

Row = dict[str, Any]

ORDERS = {
    "order 1": "as they were drawn",
    "real -1": "most like real text first",
    "real 1": "least like real text first",
    "near 1": "nearest to a training text first",
    "near -1": "farthest from any training text first",
    "length -1": "longest first",
    "length 1": "shortest first",
}
"""Key and direction of each order, for the script, and its name."""


def samples(result: Row) -> str:
    """A column a model; without the script, all texts as they were drawn."""
    shown: dict[str, list[Row]] = result["samples"]
    with_spans = any(each.get("spans") for column in shown.values() for each in column)
    said = (
        "The first that were drawn, unchosen. Under each: the probability that it is real, as the discriminator says "
        "after calibration, and the training text that takes the fewest changes; marked in it is what reads "
        "differently. Real text is held-out, so its distances are what is natural."
    )
    if with_spans:
        said += " Marked in a text itself: where the discriminator thinks it was made up; the darker, the surer."
    options = "".join(f'<option value="{value}">{label}</option>' for value, label in ORDERS.items())
    tools = (
        '<form id="tools" class="tools screen" role="search" hidden>'
        '<label>Search <input type="search" name="query" autocomplete="off"></label>'
        f'<label>Sort <select name="order">{options}</select></label>'
        '<label><input type="checkbox" name="near" checked> nearest training texts</label>'
        '<output name="found" aria-live="polite"></output></form>'
    )
    columns = "".join(_column(model, shown[model]) for model in ("real", "pretrained", "finetuned") if model in shown)
    return section("samples", "Samples", note(said), tools, f'<div class="columns">{columns}</div>')


def _column(model: str, texts: list[Row]) -> str:
    name = wording.MODEL[model]
    items = "".join(_item(number, each) for number, each in enumerate(texts))
    return (
        f'<div class="card column"><h3 class="{wording.COLOUR[model]}">{name}</h3>'
        f'<ol class="texts" role="region" aria-label="Samples: {name}" tabindex="0">{items}</ol></div>'
    )


def _item(number: int, sample: Row) -> str:
    """One text; its sorting keys are attributes."""
    near = sample.get("nearest")
    text = marked(sample["text"], [(start, end, _sure(p)) for start, end, p in sample.get("spans", [])])
    if sample["prompt"] is not None:
        text = f'<span class="prompt">{escape(sample["prompt"])}</span> {text}'
    facts = [_verdict(sample["probability"])]
    if near:
        source = marked(near["text"], [(start, end, "") for start, end in near["differs"]])
        facts.append(f'<span class="near">{_distance(near["distance"])}: <q>{source}</q></span>')
    return (
        f'<li data-order="{number}" data-real="{sample["probability"]}" data-length="{len(sample["text"])}" '
        f'data-near="{near["distance"] if near else 2}"><p class="text">{text or "<i>(empty)</i>"}</p>'
        f'<p class="facts">{" ".join(facts)}</p></li>'
    )


def _verdict(probability: float) -> str:
    share = round(100 * probability)
    return f'<span class="bar" style="--share:{share}%" aria-hidden="true"></span>real: {share} % '


def _distance(distance: float) -> str:
    return "a copy of" if distance == 0 else f"{round(100 * distance)} % away from"


def _sure(probability: float) -> str:
    """How a span's mark shows how sure the discriminator is."""
    return f' class="span" style="--sure:{round(100 * probability)}%" title="made up: {100 * probability:.0f} %"'
