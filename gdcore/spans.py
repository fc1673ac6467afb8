"""Spans of tokens as spans of characters, to be shown to people."""

from collections.abc import Iterable

from gdcore.tokenizer import Tokenizer

Span = tuple[int, int, float]
"""From here up to, not including, there; and how sure."""


def in_characters(tokenizer: Tokenizer, text: str, spans: Iterable[Span], given: int = 1) -> list[Span]:
    """Spans of a sequence's tokens as spans of the text's characters; what lies in neither token of it goes.

    `given` is how many tokens stand before the text: BOS, and a prompt with its SEP.
    """
    offsets: list[tuple[int, int]] = tokenizer.backend.encode(text, add_special_tokens=False).offsets
    found: list[Span] = []
    for start, end, probability in spans:
        first, last = max(0, start - given), min(end - given, len(offsets)) - 1
        if first <= last:
            begin, stop = offsets[first][0], offsets[last][1]
            begin += len(text[begin:stop]) - len(text[begin:stop].lstrip())  # a word's token begins with its space
            found.append((begin, stop, probability))
    return found
