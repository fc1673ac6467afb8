"""The next word, as a whole: words of several tokens are put together, the likeliest first.

A word ends where the next token begins with a space, or is a symbol or the end of the text; its probability is that of
its tokens, and of ending there. Best first: what is found first is likelier than all that is not found yet.

Shapes: B rows, V vocabulary.
"""

import heapq
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from gdcore.serving.runtime import Array
from gdcore.tokenizer import EOS, FORBIDDEN, Tokenizer

MOST_RUNS = 64
"""Beginnings of words that are looked into, at most."""
LONGEST = 16
"""Tokens of a word, at most."""

Beginning = tuple[float, tuple[int, ...]]


def next_words(
    tokenizer: Tokenizer,
    next_logprobs: Callable[[list[list[int]]], Array],
    given: list[int],
    context: int,
    k: int,
) -> list[tuple[str, float]]:
    """See `Session.next_words`. `next_logprobs` of rows of ids gives log-probabilities (B, V) of what follows."""
    begins_V = _begins_a_word(tokenizer)
    logprobs_V = next_logprobs([given])[0]
    logprobs_V[[*FORBIDDEN, EOS]] = -np.inf
    if tokenizer.kind == "word":
        best: list[int] = np.argsort(-logprobs_V, kind="stable")[:k].tolist()
        return [(tokenizer.decode([i]), float(np.exp(logprobs_V[i]))) for i in best if np.isfinite(logprobs_V[i])]
    # Negative log-probabilities, for a heap gives the least; whole words stand in it beside beginnings.
    heap: list[tuple[float, bool, tuple[int, ...]]] = [
        (-float(logprobs_V[i]), False, (int(i),)) for i in np.argsort(-logprobs_V)[: 4 * k]
    ]
    heapq.heapify(heap)
    words: dict[str, float] = {}
    runs = 0
    while heap and len(words) < k:
        cost, whole, ids = heapq.heappop(heap)
        if whole:
            word = tokenizer.decode(ids).strip()
            words[word] = words.get(word, 0.0) + float(np.exp(-cost))
        elif runs < MOST_RUNS and len(ids) < LONGEST and len(given) + len(ids) < context:
            runs += 1
            logprobs_V = next_logprobs([[*given, *ids]])[0]
            ends = float(np.logaddexp.reduce(logprobs_V[begins_V]))
            heapq.heappush(heap, (cost - ends, True, ids))
            logprobs_V[begins_V] = -np.inf
            for i in np.argsort(-logprobs_V)[:k]:
                if np.isfinite(logprobs_V[i]):
                    heapq.heappush(heap, (cost - float(logprobs_V[i]), False, (*ids, int(i))))
    words.pop("", None)
    return sorted(words.items(), key=lambda item: -item[1])


@lru_cache(maxsize=8)
def _begins_a_word(tokenizer: Tokenizer) -> NDArray[np.bool_]:
    """Of each token (V,), whether the word before it has ended: it begins with a space or a symbol, or is the end."""
    begins_V = np.zeros(tokenizer.vocab_size, bool)
    begins_V[[*FORBIDDEN, EOS]] = True
    # Behind a letter, for a decoder takes away the space that a text begins with.
    letter = tokenizer.encode(["a"])[0]
    behind = len(tokenizer.decode(letter))
    for i in range(len(begins_V)):
        if not begins_V[i]:
            piece = tokenizer.decode([*letter, i])[behind:]
            begins_V[i] = bool(piece) and not (piece[0].isalnum() or piece[0] in "'’-_\N{REPLACEMENT CHARACTER}")
    return begins_V
