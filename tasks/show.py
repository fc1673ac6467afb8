"""What a person sees in Prefect's UI without opening a log: markdown artifacts, made so that they render offline.

A server that does not answer must not fail the stage that had something to show.
"""

import base64
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from prefect.artifacts import create_link_artifact, create_markdown_artifact

log = logging.getLogger(__name__)
MAX_CHARACTERS = 500_000
# Backslashes, for Prefect's tables show character references as they stand.
MARKS = re.compile(r"^[-+]|[\\`*_{}\[\]<>#|~&!]")


def markdown(key: str, text: str, description: str) -> None:
    """Publish a markdown artifact; `key` is made of [a-z0-9-]."""
    try:
        create_markdown_artifact(text[:MAX_CHARACTERS], key=key, description=description)
    except httpx.HTTPError as error:
        log.warning("Prefect did not take the artifact %s: %s", key, error)


def link(key: str, path: Path, text: str) -> None:
    """Publish a link to a file of this machine; a browser on it follows a copied address."""
    try:
        create_link_artifact(path.as_uri(), text, key=key, description=str(path))
    except httpx.HTTPError as error:
        log.warning("Prefect did not take the artifact %s: %s", key, error)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A markdown table; whatever a cell holds stays in its cell."""
    head, *body = ["| " + " | ".join(map(_cell, line)) + " |" for line in (columns, *rows)]
    return "\n".join([head, "|" + " --- |" * len(columns), *body])


def pairs(values: Mapping[str, Any], name: str, value: str) -> str:
    """A table of two columns."""
    return table([name, value], [(key.replace("_", " "), each) for key, each in values.items()])


def figures(values: Mapping[str, float]) -> str:
    """What a training has last said of itself, as a table."""
    return pairs({name: f"{value:.4g}" for name, value in values.items()}, "latest figures and guard readings", "")


def picture(svg: str, alt: str) -> str:
    """A drawing inside the markdown."""
    return f"![{alt}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def pictures(key: str, drawn: Sequence[str], description: str) -> None:
    """Publish pictures as one artifact; none, no artifact."""
    if drawn:
        markdown(key, "\n\n".join(drawn), description)


def quoted(texts: Iterable[str]) -> str:
    """Texts as a list."""
    return "\n".join(f"- {plain(text)}" for text in texts)


def plain(value: object) -> str:
    """Any text as itself: nothing in it is taken for markdown or HTML, and it stays on its line."""
    return MARKS.sub(r"\\\g<0>", " ".join(str(value).split()))


def _cell(value: Any) -> str:
    return plain(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else value)
