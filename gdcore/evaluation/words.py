"""Text → the units it is judged by: words and punctuation where spaces part the words, characters where they do not.

This is the evaluator's own view of text. It does not depend on the tokeniser that a generator was trained with, so
that two generators with different vocabularies are judged alike.
"""

import re
from collections.abc import Callable, Sequence
from typing import Literal
from unicodedata import category

Splitter = Literal["words", "characters", "nltk"]

DESCRIPTION: dict[Splitter, str] = {
    "words": "words and punctuation",
    "characters": "characters (the text puts no spaces between words)",
    "nltk": "NLTK's word tokeniser, each line taken as one sentence",
}

PLAIN = re.compile(r"(?:[A-Za-z ]|,(?!,))+\.? *")
PLAIN_UNIT = re.compile(r"[A-Za-z]+|[,.]")
CONTRACTED = re.compile(r"\b(?:cannot|gimme|gonna|gotta|lemme|wanna)\b", re.IGNORECASE)  # «gon na», and so on


def splitter_for(texts: Sequence[str]) -> Splitter:
    """What `auto` means for these texts, by the rule that the corpus stage uses too."""
    import polars  # only `auto` needs it

    from gdcore.corpora.segmentation import count, decide

    return "characters" if decide(*count(polars.Series(texts, dtype=polars.String)))[0] == "unspaced" else "words"


def split(texts: Sequence[str], how: Splitter) -> list[list[str]]:
    """Each text's units, in order; white space is never one. A text met twice is split once."""
    tokenize = {"words": _words, "characters": _characters, "nltk": _nltk}[how](texts)
    seen: dict[str, list[str]] = {}
    return [seen[text] if text in seen else seen.setdefault(text, tokenize(text)) for text in texts]


def written(units: Sequence[str]) -> str:
    """Units as a line to be read: with spaces between them, or without where all of them are single characters."""
    return ("" if all(len(unit) == 1 for unit in units) else " ").join(units)


def _words(texts: Sequence[str]) -> Callable[[str], list[str]]:
    """Runs of letters, digits and their combining marks, an apostrophe inside a word kept; other signs one by one."""
    # Python's \w leaves combining marks out, which would cut every Hindi or Tamil word at its vowel signs.
    marks = "".join(sorted(sign for sign in set[str]().union(*texts) if category(sign).startswith("M")))
    letter = rf"[\w{re.escape(marks)}]"
    return re.compile(rf"{letter}+(?:['’]{letter}+)*|\S").findall


def _characters(_texts: Sequence[str]) -> Callable[[str], list[str]]:
    return re.compile(r"\S").findall


def _nltk(_texts: Sequence[str]) -> Callable[[str], list[str]]:
    """`nltk.word_tokenize` without its sentence splitter, which needs a download: each line is one sentence."""
    from nltk.tokenize.destructive import NLTKWordTokenizer  # pyright: ignore[reportMissingTypeStubs]  # two seconds to import

    tokenizer = NLTKWordTokenizer()

    def tokenize(text: str) -> list[str]:
        # None of NLTK's thirty substitutions touches plain words but to part them from a comma and the last full stop.
        if PLAIN.fullmatch(text) and not CONTRACTED.search(text):
            return PLAIN_UNIT.findall(text)
        return [str(token) for token in tokenizer.tokenize(text)]

    return tokenize
