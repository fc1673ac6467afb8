"""A language model that owes nothing to any generator: interpolated modified Kneser–Ney (Chen and Goodman 1998).

p(w | h) = (a(hw) − D(a(hw))) / Σ_v a(hv) + γ(h) · p(w | h without its first word), where a context h that was never
seen says nothing and the shorter one decides. The count a(g) is how often g occurs, for the longest n-grams and for
those that begin a text; for all others it is how many different words stand before g, since a shorter context is asked
only where the longer one failed. An order's discounts D1, D2 and D3+ come from how many of its n-grams have a count of
1, 2, 3 and 4; γ(h) hands on exactly what was taken away, so every distribution sums to 1. Below single words lies the
uniform distribution over the vocabulary, EOS and UNK, so that nothing is impossible.

Texts begin with BOS, which is never predicted, and end with EOS, which is. Any word outside the vocabulary is UNK, one
word like another: a model that was trained on text without UNK leaves it what it leaves any word it has not seen.

N-grams are not hashed: an n-gram's id is the rank of (id of its context, last word) among the pairs that occur.

Shape letters: N texts, T tokens of all texts (BOS and EOS among them), P tokens that are predicted, G n-grams of one
order, C n-grams of the order below, W what can be predicted: the words, UNK and EOS.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import numpy as np

from gdcore.evaluation.evidence import Evidence
from gdcore.evaluation.intervals import Ratio
from gdcore.evaluation.ngram_counts import Bools, Floats, Ints

FALLBACK = (0.5, 1.0, 1.5)
"""D1, D2, D3+ of an order that is too small, or too repetitive, to have n-grams of each count from 1 to 4."""

GUARD = np.iinfo(np.int64).max

RANKED = 4096
"""Tokens ranked at a time: what was seen after each of them is in memory."""


class Encoded(NamedTuple):
    """Texts as numbers, end to end, each from BOS to EOS."""

    tokens_T: Ints
    text_T: Ints
    """Which text each token belongs to."""
    place_T: Ints
    """How many tokens of its text stand before it; 0 for BOS."""

    def of(self, chosen_N: Bools) -> "Encoded":
        """Some of the texts, numbered anew."""
        keep = np.flatnonzero(chosen_N[self.text_T])
        return Encoded(self.tokens_T[keep], (np.cumsum(chosen_N) - 1)[self.text_T[keep]], self.place_T[keep])


class Vocabulary:
    """The words of some texts; what a language model over them can predict."""

    def __init__(self, texts: Iterable[Sequence[str]]):
        # Sorted, so that the order of the texts decides nothing, not even the last bit of a sum.
        self._ids = {word: i for i, word in enumerate(sorted(set(chain.from_iterable(texts))))}
        self.unk = len(self._ids)
        self.eos = self.unk + 1
        self.bos = self.eos + 1

    def __len__(self) -> int:
        """W: BOS is not counted, since nothing predicts it."""
        return self.bos

    def encode(self, texts: Sequence[Sequence[str]]) -> Encoded:
        lengths_N = np.fromiter(map(len, texts), np.int64, len(texts)) + 2
        ends_N = np.cumsum(lengths_N)
        text_T = np.repeat(np.arange(len(texts)), lengths_N)
        place_T = np.arange(len(text_T)) - np.repeat(ends_N - lengths_N, lengths_N)
        tokens_T = np.full(len(text_T), self.eos, np.int64)
        tokens_T[ends_N - lengths_N] = self.bos
        ids = (self._ids.get(word, self.unk) for word in chain.from_iterable(texts))
        inside_T = place_T > 0
        inside_T[ends_N - 1] = False
        tokens_T[inside_T] = np.fromiter(ids, np.int64, len(text_T) - 2 * len(texts))
        return Encoded(tokens_T, text_T, place_T)


class Level(NamedTuple):
    """What one order, from two words on, adds to the order below."""

    keys_G: Ints
    """Each n-gram as (id of its context) · (W + 1) + word, ascending; its own id is its place here. A guard at the end
    is equal to none."""
    weights_G: Floats
    """The part of p(w | h) that the n-gram's own count gives."""
    backoffs_C: Floats
    """γ(h) by the context's id; 1 where nothing ever followed it, and for the id −1, an unknown context."""


class Numbers(Protocol):
    """What the model must know of a vocabulary: how many words there are, and the number of BOS, which comes last."""

    @property
    def bos(self) -> int: ...
    def __len__(self) -> int: ...


class KneserNey:
    """The model of `order` words, trained on `texts`."""

    def __init__(self, texts: Encoded, vocabulary: Numbers, order: int = 5):
        self._bos, self._num_ids = vocabulary.bos, vocabulary.bos + 1
        contexts = [np.zeros(self._num_ids, np.int64)]  # by order: each n-gram's context, as an id of the order below
        keys = [np.arange(self._num_ids)]
        seen = np.bincount(texts.tokens_T, minlength=self._num_ids)
        seen[self._bos] = 0
        counts, gram_T = [seen], texts.tokens_T
        for n in range(2, order + 1):
            at = np.flatnonzero(texts.place_T >= n - 1)
            key = gram_T[at - 1] * self._num_ids + texts.tokens_T[at]  # both below 2³¹: the pair fits an int64
            keys_G, first_G, id_P, count_G = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
            # What the order below counts is not occurrences but the different words in front; none is in front of BOS.
            preceded = np.bincount(gram_T[at[first_G]], minlength=len(counts[-1]))
            counts[-1] = np.where(preceded > 0, preceded, counts[-1])
            counts.append(count_G)
            keys.append(keys_G)
            contexts.append(keys_G // self._num_ids)
            gram_T = np.full(len(texts.tokens_T), -1)
            gram_T[at] = id_P
        found = [_discounted(count_G, context_G) for count_G, context_G in zip(counts, contexts, strict=True)]
        weights_W, backoff = found[0]
        self._words_W: Floats = weights_W + backoff[0] / len(vocabulary)  # BOS has its place, which nothing reads
        self._levels: list[Level] = []
        for n in range(1, order):
            weights_G, backoff_C = found[n]
            silent = np.ones(len(counts[n - 1]) - len(backoff_C) + 1)
            self._levels.append(Level(np.append(keys[n], GUARD), weights_G, np.concatenate([backoff_C, silent])))

    def logprobs(self, texts: Encoded) -> Floats:
        """ln p of each token given those before it, without the BOS: shape (P,), text by text."""
        at = np.flatnonzero(texts.place_T > 0)
        p_P = self._words_W[texts.tokens_T[at]]
        for level, context_P, place_P, known_P in self._read(texts, at):
            p_P = level.backoffs_C[context_P] * p_P
            p_P[known_P] += level.weights_G[place_P[known_P]]
        return np.log(p_P)

    def _read(self, texts: Encoded, at: Ints) -> Iterator[tuple[Level, Ints, Ints, Bools]]:
        """By order: the context of each token as an id, −1 where it is unknown; its n-gram's id, if that is known."""
        gram_T = texts.tokens_T  # the id of the n-gram that ends at each token, −1 where there is none or it is unknown
        for level in self._levels:
            context_P = gram_T[at - 1]
            # Negative, and so never found, after an unknown context.
            key_P = context_P * self._num_ids + texts.tokens_T[at]
            place_P = np.searchsorted(level.keys_G, key_P)
            known_P = level.keys_G[place_P] == key_P
            yield level, context_P, place_P, known_P
            gram_T = np.full(len(texts.tokens_T), -1)
            gram_T[at[known_P]] = place_P[known_P]

    def ranks(self, texts: Encoded, of_T: Bools, never: Sequence[int] = ()) -> Ints:
        """How many words are likelier than the true one, at each token of `of_T` (no BOS among them): shape (P,).

        Of equally likely words the one with the lower id comes first. Words in `never` are no guesses: where one of
        them is the true word, all are likelier. A context's words fall into those that were seen after it, whose
        probabilities are added up one by one, and all others, whose order is that of the single words.
        """
        at = np.flatnonzero(texts.place_T > 0)
        words_P = texts.tokens_T[of_T]
        contexts = [context_P[of_T[at]] for _, context_P, _, _ in self._read(texts, at)]
        contexts_LP = np.array(contexts, np.int64).reshape(len(contexts), len(words_P))
        own_W = self._words_W[: self._bos].copy()
        own_W[list(never)] = 0
        by_word = np.lexsort((np.arange(len(own_W)), -own_W))
        place_W = np.empty_like(by_word)
        place_W[by_word] = np.arange(len(by_word))
        ranks_P = np.empty(len(words_P), np.int64)
        for rows in np.array_split(np.arange(len(words_P)), 1 + len(words_P) // RANKED):
            ranks_P[rows] = self._ranks(words_P[rows], contexts_LP[:, rows], own_W, by_word, place_W)
        return np.where(np.isin(words_P, list(never)), self._bos, ranks_P)

    def _ranks(self, words_P: Ints, contexts_LP: Ints, own_W: Floats, by_word: Ints, place_W: Ints) -> Ints:
        if not self._levels:
            return place_W[words_P]
        backoffs_LP = np.stack([level.backoffs_C[each] for level, each in zip(self._levels, contexts_LP, strict=True)])
        # What is left for an order once all longer ones have taken their part; the last row is the single words'.
        left_LP = np.cumprod(np.vstack([np.ones(len(words_P)), backoffs_LP[::-1]]), axis=0)[::-1]
        single_P = left_LP[0]
        of_F, seen_F, starts_P = self._followers(0, contexts_LP[0])
        offsets_P = np.cumsum(np.bincount(of_F, minlength=len(words_P))) - np.bincount(of_F, minlength=len(words_P))
        word_F = self._levels[0].keys_G[seen_F] % self._num_ids
        p_F = single_P[of_F] * own_W[word_F] + left_LP[1][of_F] * self._levels[0].weights_G[seen_F]
        for n in range(1, len(self._levels)):  # what follows a longer context follows the shorter one too
            of_E, longer_E, _ = self._followers(n, contexts_LP[n])
            key_E = contexts_LP[0][of_E] * self._num_ids + self._levels[n].keys_G[longer_E] % self._num_ids
            here_E = np.searchsorted(self._levels[0].keys_G, key_E) - starts_P[of_E] + offsets_P[of_E]
            p_F[here_E] += left_LP[n + 1][of_E] * self._levels[n].weights_G[longer_E]
        p_F[own_W[word_F] == 0] = -1.0
        true_F = word_F == words_P[of_F]
        p_P, among_P = np.zeros(len(words_P)), np.zeros(len(words_P), np.bool_)
        p_P[of_F[true_F]], among_P[of_F[true_F]] = p_F[true_F], True
        # Of the words by themselves, so many come before the true one …
        likelier_P = np.searchsorted(-own_W[by_word], -p_P / single_P)
        before_P = np.where(among_P, likelier_P, place_W[words_P])
        p_P = np.where(among_P, p_P, single_P * own_W[words_P])
        # … of which those that were seen here do not count, but by their probability here.
        ahead_F = (p_F > p_P[of_F]) | ((p_F == p_P[of_F]) & (word_F < words_P[of_F]))
        counted_F = ahead_F.astype(np.int64) - (place_W[word_F] < before_P[of_F])
        return before_P + np.bincount(of_F, counted_F, len(words_P)).astype(np.int64)

    def _followers(self, n: int, context_P: Ints) -> tuple[Ints, Ints, Ints]:
        """The n-grams of an order that go on from each context: whose, which, and where each context's begin."""
        keys_G = self._levels[n].keys_G
        starts_P = np.searchsorted(keys_G, context_P * self._num_ids)
        sizes_P = np.where(context_P < 0, 0, np.searchsorted(keys_G, (context_P + 1) * self._num_ids) - starts_P)
        of_F = np.repeat(np.arange(len(context_P)), sizes_P)
        return of_F, np.arange(len(of_F)) - np.repeat(np.cumsum(sizes_P) - sizes_P - starts_P, sizes_P), starts_P

    def nll(self, texts: Encoded) -> Ratio:
        """Per text its NLL in nats, summed over its tokens (EOS among them), and their number."""
        of_P = texts.text_T[texts.place_T > 0]
        nll_P: Floats = -self.logprobs(texts)
        return Ratio(np.bincount(of_P, nll_P).astype(np.float64), np.bincount(of_P).astype(np.float64))


def discounts(counts_G: Ints) -> tuple[float, float, float]:
    """D1, D2, D3+ from how many n-grams have a count of 1, 2, 3 and 4 (Chen and Goodman 1998, equation 26)."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts_G == count)) for count in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    # Copied texts make counts that no language has; a discount must not turn into a bonus.
    return found if min(found) > 0 else FALLBACK


def _discounted(counts_G: Ints, context_G: Ints) -> tuple[Floats, Floats]:
    """What each n-gram keeps, (a − D) / Σ a over its context; what each context hands on, γ. An unseen one, all."""
    taken_G = np.array([0.0, *discounts(counts_G)])[np.minimum(counts_G, 3)]
    total_C = np.bincount(context_G, counts_G)
    backoff_C = np.divide(np.bincount(context_G, taken_G), total_C, out=np.ones(len(total_C)), where=total_C > 0)
    return (counts_G - taken_G) / np.maximum(1, total_C)[context_G], backoff_C


def sides(evidence: Evidence) -> tuple[Vocabulary, Encoded, Encoded]:
    """The references' words as the vocabulary; samples and references in it.

    One vocabulary for both directions and for every generator: probabilities can be compared only where they are spread
    over the same words. It cannot be the samples', or a generator with fewer words would be asked easier questions; nor
    anything's that is not always at hand, as training text. So of the samples the foreign words are UNK, which the
    references never hold: a generator gains nothing by them, and what it spends on them it lacks elsewhere.
    """
    vocabulary = evidence.once("ngrams: vocabulary", lambda: Vocabulary(evidence.references))
    references = evidence.once("ngrams: references", lambda: vocabulary.encode(evidence.references))
    samples = evidence.shared("ngrams: samples", lambda: vocabulary.encode(evidence.samples))
    return vocabulary, samples, references
