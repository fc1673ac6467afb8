"""The verdict as one page to read offline: our table of rules, then Great Expectations' own rendering of each suite.

Great Expectations' page frame loads style sheets and scripts from the network; only its sections are taken, with a
style sheet of our own.
"""

import copy
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaSectionView

STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 20%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
thead[hidden] { display: none; }
h5, h6 { font-size: 1rem; margin: 1rem 0 .3rem; }
small, .example { opacity: .8; font-size: .85rem; overflow-wrap: anywhere; }
.badge { background: var(--line); border-radius: .3rem; padding: 0 .3rem; }
.fa-check-circle::before { content: "✓"; color: #2a9d4a; }
.fa-times::before, .fa-exclamation-triangle::before { content: "✗"; color: #d33; }
.passed { color: #2a9d4a; } .critical { color: #d33; font-weight: 600; } .warning { color: #b97a00; }
"""


def page(verdict: Mapping[str, Any], results: list[ExpectationSuiteValidationResult]) -> str:
    """One HTML page that loads nothing. The same verdict gives the same bytes."""
    title = "The corpus is fit to train on" if verdict["success"] else "The corpus is not fit to train on"
    rules = "".join(row(suite["name"], result) for suite in verdict["suites"] for result in suite["results"])
    head = "".join(f"<th>{name}</th>" for name in ("Suite", "Rule", "", "Observed", "Expected", "Texts", "First"))
    body = "\n".join(f"<h2>Suite «{result.suite_name}»</h2>\n{sections(result)}" for result in results)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n'
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{rules}</tbody></table>\n{body}\n</body></html>\n"
    )


def row(suite: str, result: Mapping[str, Any]) -> str:
    """One rule of the verdict as a row of the table."""
    state = "passed" if result["success"] else result["severity"]
    first = "".join(
        f'<div class="example">{escape(place(example))} {escape(example["text"])}</div>'
        for example in result["examples"][:3]
    )
    figures = (observed(result["observed"]), result["threshold"], f"{result['unexpected_count']:,}")
    cells = [
        *map(escape, (suite, result["rule"])),
        f'<span class="{state}">{state}</span>',
        *map(escape, figures),
        first,
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"


def place(example: Mapping[str, Any]) -> str:
    """Where an offending row is: file and line, or the split."""
    return f"{example['source']}:{example['line']}" if example["line"] is not None else example["source"]


def observed(figure: Any) -> str:
    """What was observed, in words."""
    if isinstance(figure, Mapping):
        return ", ".join(f"{name} {observed(value)}" for name, value in figure.items()) or "nothing to judge"
    if figure is None:
        return "nothing to judge"
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    return f"{figure:.6g}" if isinstance(figure, float) else f"{figure:,}"


def sections(result: ExpectationSuiteValidationResult) -> str:
    """Great Expectations' rendering of a suite's results, without what only a server or a moment could fill in."""
    placeless = copy.copy(result)
    placeless.meta = {"active_batch_definition": {}, "run_id": {"run_name": "", "run_time": ""}, **(result.meta or {})}
    rendered = ValidationResultsPageRenderer(run_info_at_end=True).render(placeless)
    view = DefaultJinjaSectionView()
    parts = [section.to_json_dict() for section in rendered.sections if section.section_name != "Run Info"]
    html = "".join(view.render({"section": part, "section_loop": {"index": i}}) for i, part in enumerate(parts, 1))
    html = re.sub(r"<a href=[^>]*>(.*?)</a>", r"\1", html)  # to the page of a suite, which is not there
    html = re.sub(r"<br> *Data asset: None", "", html)
    return re.sub(r'\s+id="[^"]*"|\n\s*(?=\n)', "", html)
