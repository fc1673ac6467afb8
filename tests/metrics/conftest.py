"""Random texts over a small vocabulary: many n-grams recur, lengths differ, some texts are empty or repeated."""

import random
from collections.abc import Callable

import pytest

Texts = list[list[str]]


@pytest.fixture
def random_texts() -> Callable[..., Texts]:
    def make(number: int, seed: int, words: int = 6, longest: int = 12) -> Texts:
        rng = random.Random(seed)
        texts = [[f"w{rng.randrange(words)}" for _ in range(rng.randint(0, longest))] for _ in range(number)]
        return [*texts[:-1], texts[0]]

    return make
