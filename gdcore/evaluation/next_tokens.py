"""What comes next, guessed: by a generator, and by an n-gram model that has read the same training text.

A guess is a token of the generator's own tokeniser, or the end of the text; both sides see the same tokens, the prompt
among them. Signs that stand for no text (PAD, BOS, UNK, SEP) are no guesses, and so a word that the tokeniser does not
know is guessed by nobody.

Shape letters: N texts, P tokens that count, T tokens of all texts.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from gdcore.batches import ordered_batches
from gdcore.contracts import Generator
from gdcore.evaluation.evidence import NextTokens
from gdcore.evaluation.intervals import Ratio
from gdcore.evaluation.ngram_counts import Bools, Ints
from gdcore.evaluation.ngrams import Encoded, KneserNey
from gdcore.likelihood import score_and_rank
from gdcore.metrics.nll import held_out as nll
from gdcore.networks import latent
from gdcore.shards import Shards
from gdcore.tokenizer import FORBIDDEN

BATCH = 64
"""Texts read at a time: few enough that their logits stay small."""


@dataclass(frozen=True)
class TokenIds:
    """A tokeniser's ids as a vocabulary of the n-gram model: there BOS has the last number, and nothing predicts it."""

    bos: int

    def __len__(self) -> int:
        return self.bos


class TokenTexts(NamedTuple):
    """The texts of a split as a generator reads them."""

    texts: Encoded
    target_T: Bools
    """The tokens that a generator is asked to predict: the text's and its EOS, not the prompt's."""


def token_texts(shards: Shards, vocab_size: int) -> TokenTexts:
    """A split in the n-gram model's form; BOS is `vocab_size` there."""
    parts: list[tuple[Ints, Ints, Ints, Bools]] = []
    for start, batch in zip(range(0, len(shards), 1024), ordered_batches(shards, 1024), strict=True):
        text_T, place_T = np.nonzero(batch.mask_BT.numpy())
        tokens_T = np.where(place_T == 0, vocab_size, batch.tokens_BT.numpy()[text_T, place_T])
        parts.append((tokens_T, text_T + start, place_T, batch.target_BT.numpy()[text_T, place_T]))
    tokens_T, text_T, place_T, target_T = (np.concatenate(each) for each in zip(*parts, strict=True))
    return TokenTexts(Encoded(tokens_T, text_T, place_T), target_T)


def held_out_guesses(
    generator: Generator, held_out: Shards, train: Shards, most: int = 2_000_000
) -> tuple[Ratio, NextTokens | None]:
    """A split's NLL (`gdcore.metrics.nll.held_out`), and where the true tokens stood among the generator's guesses.

    The n-gram model reads the training text, up to about `most` tokens of it, evenly drawn; it is made when asked for.
    Of a generator with latent variables there are no guesses: what it thinks likely depends on noise that only a whole
    text tells.
    """
    if latent.noise_dim(generator):
        return nll(generator, held_out, BATCH), None
    sums_N, counts_N, ranks_P = score_and_rank(generator, ordered_batches(held_out, BATCH))
    ratio = Ratio(sums_N.double().numpy(), counts_N.double().numpy())
    baseline = partial(ngram_ranks, held_out, train, generator.vocab_size, most)
    return ratio, NextTokens(ranks_P.numpy(), np.repeat(np.arange(len(counts_N)), counts_N.numpy()), baseline)


def ngram_ranks(held_out: Shards, train: Shards, vocab_size: int, most: int, order: int) -> Ints:
    """Where the true tokens `(P,)` of one split stand among the guesses of a Kneser–Ney model of another."""
    share = most / max(1, int(train.lengths_N.sum()))
    if share < 1:
        train = train.only(np.linspace(0, len(train) - 1, max(1, int(len(train) * share))).astype(np.int64))
    model = KneserNey(token_texts(train, vocab_size).texts, TokenIds(vocab_size), order)
    texts, target_T = token_texts(held_out, vocab_size)
    return model.ranks(texts, target_T, FORBIDDEN)
