"""What of a text counts when texts are compared: its gist, and the shingles of that.

The resemblance of two texts is that of A. Broder, «On the resemblance and containment of documents», 1997: the Jaccard
similarity of their sets of shingles, how many are in both sets of those in either. Shingles are five characters of the
gist in a row, so that languages without spaces are compared as others are; of a text of fewer characters it is one, the
whole. A prompt and its text are two sets, and the smaller of the two similarities counts: another answer to a question
is another text.

Shapes: T texts, C their characters, one text after the other; K texts that another is compared with.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
SHINGLE = 5
"""Characters."""
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2⁶⁴ over the golden ratio, odd
PAD = "\0"
"""Fills a short text up to a shingle; no text has one (the corpus stage drops control characters)."""


def written() -> pl.Expr:
    """Prompt and text as they are, a line each. Columns read: text, prompt."""
    return pl.concat_str(pl.col("prompt").fill_null(""), pl.lit("\n"), pl.col("text"))


def gist() -> pl.Expr:
    """Prompt and text but for case, spacing and punctuation, the text being the last line."""
    # Without letters or digits there is nothing but punctuation and symbols to tell texts by.
    plain = written().str.to_lowercase().str.replace_all(r"[^\p{L}\p{M}\p{N}\p{Extended_Pictographic}\n]+", " ")
    tidy = plain.str.replace_all(r" ?\n ?", "\n").str.strip_chars()
    return pl.when(plain.str.contains(r"\n.*\S")).then(tidy).otherwise(written())


def sides(gist: str) -> tuple[str, str]:
    """Prompt and text of a gist, each filled up to a shingle unless it is empty."""
    prompt, _, text = gist.rpartition("\n")
    return prompt and prompt.ljust(SHINGLE, PAD), text and text.ljust(SHINGLE, PAD)


def hashed(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """Every shingle of some texts as 64 bits, one text after the other, and where each text's begin and end `(T + 1,)`.

    A text is empty or has the length of a shingle at least.
    """
    codes_C = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4").astype(np.uint64)
    lengths_T = np.fromiter(map(len, texts), np.int64, len(texts))
    ends_T = np.cumsum(lengths_T)
    starts = np.concatenate([[0], np.cumsum(np.maximum(lengths_T - SHINGLE + 1, 0))])
    if len(codes_C) < SHINGLE:
        return np.empty(0, np.uint64), starts
    hashes_C = np.zeros(len(codes_C) - SHINGLE + 1, np.uint64)
    for i in range(SHINGLE):
        hashes_C *= MULTIPLIER
        hashes_C += codes_C[i : len(codes_C) - SHINGLE + 1 + i]
    within_C = np.ones(len(codes_C), bool)  # not across the end of a text
    for back in range(1, SHINGLE):
        within_C[ends_T - back] = False
    return mixed(hashes_C[within_C[: len(hashes_C)]]), starts


def distinct(hashes: Hashes, starts: NDArray[np.int64]) -> tuple[Hashes, NDArray[np.int64]]:
    """Each text's different shingles, sorted; and where they begin and end."""
    texts = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = np.lexsort((hashes, texts))
    hashes, texts = hashes[order], texts[order]
    new = np.ones(len(hashes), bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
    return hashes[new], np.concatenate([[0], np.cumsum(np.bincount(texts[new], minlength=len(starts) - 1))])


def resemblances(own: Hashes, others: Sequence[Hashes]) -> NDArray[np.float64]:
    """The Jaccard similarity of a set of shingles with each of K others `(K,)`; two empty sets are the same."""
    lengths_K = np.fromiter(map(len, others), np.int64, len(others))
    both_K = np.zeros(len(others))
    if len(own) and lengths_K.any():
        together = np.concatenate(others)
        found = own.take(np.searchsorted(own, together), mode="clip") == together
        both_K = np.bincount(np.repeat(np.arange(len(others)), lengths_K), found, len(others))
    either_K = len(own) + lengths_K - both_K
    return np.where(either_K > 0, both_K / np.maximum(either_K, 1), 1.0)


def mixed(values: Hashes) -> Hashes:
    """64 bits of which each depends on all (multiplication alone carries to the left only)."""
    values = (values ^ (values >> np.uint64(32))) * MULTIPLIER
    return values ^ (values >> np.uint64(29))
