"""What to call a corpus, from its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

DRAWN = {"oracle": "a synthetic oracle", "grammar": "a grammar"}


def corpus_name(corpus: Mapping[str, Any]) -> str:
    """A few words for which text it is."""
    if files := corpus.get("paths") or corpus.get("train"):
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        return f"{Path(files[0]).name}{more}"
    for drawn, told in DRAWN.items():
        if corpus.get(drawn) is not None:
            return told
    if packages := corpus.get("docstrings"):
        return "docstrings of " + ", ".join(packages)
    return "embedded corpus"


def corpus_source(corpus: Mapping[str, Any]) -> str:
    """Which text it is, in full: two corpora of one source are the same pipeline's, however the text has grown."""
    files = ", ".join(corpus.get("paths") or corpus.get("train") or ())
    text = files or corpus_name(corpus)
    asked = corpus.get("prompt_column")
    return f"{text}, answering {asked}" if asked else text
