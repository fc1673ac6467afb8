"""The synthetic oracle: a small LSTM with random weights whose texts are a corpus, and whose likelihoods are exact.

Yu et al. 2017 (SeqGAN, arXiv 1609.05473, §4): one layer, embedding and hidden state of 32, 5,000 words, every parameter
drawn from a standard normal distribution; texts of a fixed number of words, begun from word 0, without an end. A gate
is σ(x·W + h·U + b) with `w`, `u`, `b` of input (`i`), forget (`f`), output (`og`) and candidate (`c`), as in torch's
cell but for having one bias each; the next word's logits are h·Wo + bo.

Words are spelt in syllables (`spelt`): to every other part of gdflow the oracle's texts are text like any other.

Shapes: N texts, B texts at a time, T words, V vocabulary, E embedding, H hidden.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gdcore.corpora.exact import Values, Verdict
from gdcore.errors import UserError
from gdcore.uniforms import row_seeds, uniforms

FILE = "oracle.npz"
GATES = ("i", "f", "og", "c")
KEYS = ("embedding", *(f"{kind}{gate}" for gate in GATES for kind in "wub"), "wo", "bo")
START = 0
BATCH = 512

CONSONANTS, VOWELS = "bcdfghjklmnprstvwxyz", "aeiou"
SYLLABLES = tuple(consonant + vowel for consonant in CONSONANTS for vowel in VOWELS)

Array = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]
State = tuple[Array, Array]


def spelt(word: int, vocab_size: int) -> str:
    """A word's number in base 100, a syllable a digit: word 1,234 of 5,000 is `diju`."""
    digits: list[str] = []
    for _ in range(_num_syllables(vocab_size)):
        word, digit = divmod(word, len(SYLLABLES))
        digits.append(SYLLABLES[digit])
    return "".join(reversed(digits))


@lru_cache(maxsize=2)
def vocabulary(size: int) -> list[str]:
    """All words, in the order of their numbers."""
    return [spelt(word, size) for word in range(size)]


def _num_syllables(vocab_size: int) -> int:
    return 1 + sum(len(SYLLABLES) ** n < vocab_size for n in range(1, 8))


@dataclass(frozen=True)
class Oracle:
    """The network, and how many words its texts have."""

    parameters: dict[str, Array]
    length: int

    @property
    def words(self) -> list[str]:
        """The vocabulary in the order of its numbers."""
        return vocabulary(len(self.parameters["bo"]))

    @property
    def ends(self) -> bool:
        return False

    @cached_property
    def numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def begin(self, num: int) -> State:
        """`(hidden, cell)`, each (B,H), before any word."""
        shape = num, len(self.parameters["bi"])
        return np.zeros(shape, np.float32), np.zeros(shape, np.float32)

    def step(self, word_B: Ids, state: State) -> tuple[Array, State]:
        """Read a word a text: the log-probabilities (B,V) of the next, and the new state."""
        own = self.parameters
        hidden_BH, cell_BH = state
        x_BE = own["embedding"][word_B]
        before = {gate: x_BE @ own[f"w{gate}"] + hidden_BH @ own[f"u{gate}"] + own[f"b{gate}"] for gate in GATES}
        input_BH, forget_BH, output_BH = (_sigmoid(before[gate]) for gate in ("i", "f", "og"))
        cell_BH = forget_BH * cell_BH + input_BH * np.tanh(before["c"])
        hidden_BH = output_BH * np.tanh(cell_BH)
        logits_BV = hidden_BH @ own["wo"] + own["bo"]
        logits_BV -= logits_BV.max(axis=1, keepdims=True)
        logits_BV -= np.log(np.exp(logits_BV).sum(axis=1, keepdims=True, dtype=np.float64)).astype(np.float32)
        return logits_BV, (hidden_BH, cell_BH)

    def draw(self, num: int, seed: int) -> Iterator[list[str]]:
        """`num` texts in parts; text i is the same however many are drawn (up to rounding, on another machine)."""
        for start in range(0, num, BATCH):
            yield [self._text(row) for row in self.draw_ids(min(BATCH, num - start), seed, start)]

    def draw_ids(self, num: int, seed: int, start: int = 0) -> Ids:
        """Words (N,T) of texts `start … start + num − 1`: the t-th by inverse CDF from number t of the text's seed."""
        uniform_NT = uniforms(row_seeds(seed, num, start), 0, self.length)
        word_B, state = np.full(num, START), self.begin(num)
        words_NT = np.empty((num, self.length), np.int64)
        for t in range(self.length):
            logprobs_BV, state = self.step(word_B, state)
            cumulative_BV = np.exp(logprobs_BV).cumsum(axis=1, dtype=np.float64)
            threshold_B = uniform_NT[:, t] * cumulative_BV[:, -1]
            word_B = (cumulative_BV <= threshold_B[:, None]).sum(axis=1)
            words_NT[:, t] = word_B = np.minimum(word_B, len(self.words) - 1)
        return words_NT

    def judge(self, texts: Sequence[str]) -> Verdict:
        """Every text is scored by the words that it has, however many; it is the oracle's own where their number is."""
        rows = [text.split() for text in texts]
        ids = [[self.numbers.get(word, -1) for word in row] for row in rows]
        words_N = np.array([len(row) for row in rows], np.float64)
        nll_N = np.array([np.inf if -1 in row else 0.0 for row in ids])
        order = np.argsort(-words_N, kind="stable")
        known = [int(row) for row in order if nll_N[row] == 0]
        for start in range(0, len(known), BATCH):
            some = known[start : start + BATCH]  # the longest first: those that go on are the first of them
            nll_N[some] = self._nll([ids[row] for row in some])
        return Verdict(nll_N, words_N, np.isfinite(nll_N) & (words_N == self.length))

    def _nll(self, ids: Sequence[Sequence[int]]) -> Values:
        """Of numbers, the longest text first."""
        lengths_B = np.array([len(row) for row in ids])
        nll_B, word_B, state = np.zeros(len(ids)), np.full(len(ids), START), self.begin(len(ids))
        for t in range(int(lengths_B.max())):
            left = int((lengths_B > t).sum())
            logprobs_BV, state = self.step(word_B[:left], (state[0][:left], state[1][:left]))
            word_B = np.array([row[t] for row in ids[:left]])
            nll_B[:left] -= logprobs_BV[np.arange(left), word_B]
        return nll_B

    def save(self, folder: Path) -> None:
        """Write `oracle.npz`, the same bytes for the same oracle."""
        np.savez(folder / FILE, allow_pickle=False, length=np.array(self.length), **self.parameters)

    def _text(self, words: Ids) -> str:
        known = self.words
        return " ".join(known[word] for word in words)


def _sigmoid(x: Array) -> Array:
    return np.float32(1) / (np.float32(1) + np.exp(-x))


def drawn(seed: int, length: int, vocab_size: int = 5000, dim: int = 32) -> Oracle:
    """An oracle whose parameters are standard normal, as the published one's were, in the order of `KEYS`."""
    rng = np.random.default_rng(seed)
    sizes = {"V": vocab_size, "E": dim, "H": dim}
    shapes = {key: tuple(sizes[axis] for axis in _axes(key)) for key in KEYS}
    return Oracle({key: rng.standard_normal(shape).astype(np.float32) for key, shape in shapes.items()}, length)


def load(path: Path, length: int | None = None) -> Oracle:
    """An oracle from a .npz of these keys; the length where it is not given is the file's own.

    Raises UserError, naming the file and the key, for what is missing, of a wrong shape, or no number.
    """
    try:
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            arrays = {key: _array(file, key, path) for key in (*KEYS, *(["length"] if length is None else []))}
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; expected the .npz file of an oracle's parameters") from None
    except (BadZipFile, ValueError, EOFError, AttributeError, OSError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is no .npz file of numbers ({error}); expected arrays {', '.join(KEYS)}") from error
    length = int(arrays.pop("length")) if length is None else length
    return Oracle(_checked(arrays, path), length)


def _array(file: "np.lib.npyio.NpzFile", key: str, path: Path) -> NDArray[np.generic]:
    if key not in file.files:
        has = ", ".join(file.files) or "nothing"
        raise UserError(f"{path} has no array {key!r}; expected {', '.join(KEYS)}, and it has {has}")
    try:
        return file[key]
    except ValueError as error:  # pickled objects, which may run code when read
        raise UserError(f"{path}: {key!r} is no array of numbers ({error}); expected floating-point numbers") from error


def _axes(key: str) -> str:
    """The axes of an array: a letter each."""
    return {"embedding": "VE", "wo": "HV", "bo": "V"}.get(key) or {"w": "EH", "u": "HH", "b": "H"}[key[0]]


def _checked(arrays: dict[str, NDArray[np.generic]], path: Path) -> dict[str, Array]:
    """The parameters in single precision, once all fit together."""
    sizes: dict[str, int] = {}
    for key, array in arrays.items():
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise UserError(f"{path}: {key!r} holds {array.dtype}; expected floating-point numbers")
        axes = _axes(key)
        shape = tuple(sizes.setdefault(axis, size) for axis, size in zip(axes, array.shape, strict=False))
        if array.ndim != len(axes) or array.shape != shape:
            named = ", ".join(f"{axis} = {sizes[axis]}" for axis in axes if axis in sizes)
            raise UserError(
                f"{path}: {key!r} has the shape {array.shape}; expected ({', '.join(axes)}) with {named}, as in the "
                "arrays before it (V words, E embedding, H hidden)"
            )
        if not np.isfinite(array).all():
            raise UserError(f"{path}: {key!r} holds values that are no finite numbers")
    return {key: array.astype(np.float32) for key, array in arrays.items()}
