"""Next word: how often the generator's first guess at the next token of unseen real text is right, or one of five.

It is what a keyboard that suggests words would get right. A token is a word or a mark where the tokeniser parts words,
a piece of one under byte-pair encoding, a character where it spells: figures of different tokenisers must not be
compared. The text's end is guessed as well; unknown words are guessed by nobody. Beside it stands a Kneser–Ney model of
a few tokens' memory, trained on the same text and asked for the same tokens: a network that guesses no better has
learnt nothing that counting could not.
"""

from typing import Literal

import numpy as np
from pydantic import Field

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Measurement, Ratio, Values
from gdcore.evaluation.ngram_counts import Ints
from gdcore.settings import Settings

GUESSES = (1, 5)


class Config(Settings):
    name: Literal["next_word"] = "next_word"
    order: int = Field(default=5, ge=1)
    """Tokens in the longest n-gram of the model beside it."""


def score(config: Config, evidence: Evidence) -> dict[str, Measurement]:
    """`next_word_1`, `next_word_5`: tokens that stood first, or among the first five / tokens; `next_word_1_ngram`, …
    of the n-gram model; `next_word_gain`: first guesses right, generator − n-gram model, token by token. Nothing where
    no generator is at hand, or one whose guesses depend on noise."""
    tokens = None if evidence.likelihoods is None else evidence.likelihoods.next_tokens
    if tokens is None:
        return {}
    ngram_P = evidence.once(f"next_word: {config.order}", lambda: tokens.ngram_ranks(config.order))
    counts_N = np.bincount(tokens.text_P).astype(np.float64)

    def right(ranks_P: Ints, guesses: int) -> Values:
        return np.bincount(tokens.text_P, ranks_P < guesses).astype(np.float64)

    found: dict[str, Measurement] = {
        f"next_word_{guesses}{model}": Ratio(right(ranks_P, guesses), counts_N)
        for model, ranks_P in (("", tokens.ranks_P), ("_ngram", ngram_P))
        for guesses in GUESSES
    }
    return found | {"next_word_gain": Ratio(right(tokens.ranks_P, 1) - right(ngram_P, 1), counts_N)}
