"""How many bits a bundle needs to tell a text: the measure that is fair to models with different tokenisers.

NLL per token is not: a token may be a character or a word, and a tokeniser may make a text easier by losing part of it.
So what is lost is paid for, and the code is one from which the text can be read back:

- an unknown word costs its `<unk>`, and then its spelling, byte by byte;
- a tokeniser that folds case pays for the case of every letter.

Both are spelled by frequencies of the training text at hand (order 0, add one), the same for every model. Runs of white
space count as one space for all tokenisers alike.

Shape letters: N texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gdcore.errors import UserError
from gdcore.evaluation.intervals import Values
from gdcore.serving.session import Session
from gdcore.tokenizer import UNK

END = 256
"""The sign that ends a spelled word."""


@dataclass(frozen=True)
class Spelling:
    """What bytes and capitals cost, in bits."""

    byte_bits: Values
    """Of the 256 bytes and of the end of a word."""
    upper_bits: float
    lower_bits: float

    @classmethod
    def learn(cls, texts: Sequence[str]) -> "Spelling":
        """By the frequencies of some texts; a word ends as often as they hold a space."""
        counts = np.bincount(np.frombuffer("\n".join(texts).encode(), np.uint8), minlength=END + 1) + 1.0
        counts[END] = counts[ord(" ")]
        cases = sum((_cases(text) for text in texts), np.zeros(2)) + 1
        upper, lower = -np.log2(cases / cases.sum())
        return cls(-np.log2(counts / counts.sum()), float(upper), float(lower))

    def word(self, word: str) -> float:
        """The bits that spell an unknown word."""
        return float(self.byte_bits[np.frombuffer(word.encode(), np.uint8)].sum() + self.byte_bits[END])

    def case(self, text: str) -> float:
        """The bits that tell each letter's case."""
        upper, lower = _cases(text)
        return float(upper * self.upper_bits + lower * self.lower_bits)


def fits(session: Session, texts: Sequence[str], prompts: Sequence[str] | None) -> list[bool]:
    """Whether each text, with its prompt, its beginning and its end, has room in the model's context."""
    lengths = np.array([len(ids) for ids in session.tokenizer.encode(texts)]) + 2
    if prompts:
        lengths += [len(ids) + session.prompted for ids in session.tokenizer.encode(prompts)]
    return (lengths <= session.context).tolist()


def bits(session: Session, texts: Sequence[str], prompts: Sequence[str] | None, spelling: Spelling) -> Values:
    """The code length `(N,)` of each text, given its prompt; texts must fit.

    Raises UserError where the model holds a text to be impossible.
    """
    tokenizer = session.tokenizer
    codings: list[Any] = tokenizer.backend.encode_batch(list(texts), add_special_tokens=False)
    num_tokens = np.array([len(coding.ids) + 1 for coding in codings])  # with EOS
    bits_N = np.array(session.score(texts, prompts)) * num_tokens / np.log(2)
    for i, (text, coding) in enumerate(zip(texts, codings, strict=True)):
        spans = [coding.offsets[place] for place, token in enumerate(coding.ids) if token == UNK]
        bits_N[i] += sum(spelling.word(" ".join(text[start:end].split())) for start, end in spans)
        if tokenizer.config.get("lowercase"):
            bits_N[i] += spelling.case(text)
    if not np.isfinite(bits_N).all():
        raise UserError(f"{session.bundle} gives a text no finite likelihood: its weights are damaged; train it anew")
    return bits_N


def _cases(text: str) -> Values:
    """How many letters are upper case, and how many lower case."""
    return np.array([sum(map(str.isupper, text)), sum(map(str.islower, text))], np.float64)
