"""What a source offers of which every text's likelihood is known: the synthetic oracle, a grammar."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Verdict(NamedTuple):
    """What such a source says of N texts."""

    nll_N: Values
    """−log p in nats, summed over a text's words; ∞ where it cannot be."""
    tokens_N: Values
    """How many words each has, and its end, where that says anything."""
    own_N: NDArray[np.bool_]
    """Which of them the source could have written itself."""


class ExactSource(Protocol):
    """A distribution over texts: words with one space between them."""

    @property
    def words(self) -> list[str]:
        """Every word that may occur."""
        ...

    @property
    def ends(self) -> bool:
        """Whether a text's end says anything: not where all are of one length."""
        ...

    def draw(self, num: int, seed: int) -> Iterator[list[str]]:
        """`num` texts, a part at a time; text i does not depend on how many are drawn."""
        ...

    def judge(self, texts: Sequence[str]) -> Verdict:
        """The likelihood of each text."""
        ...

    def save(self, folder: Path) -> None:
        """Write the file that defines it, the same bytes for the same source."""
        ...
