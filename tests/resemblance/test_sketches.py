"""Sketches agree as often as texts do, and are the same everywhere."""

import random
import sys

import numpy as np
import polars as pl
import pytest

from gdcore.errors import UserError
from gdcore.resemblance.sketches import MOST_MISSED, SLOTS, banding, blocks, keys, sketch, sketcher


@pytest.mark.parametrize(("similarity", "shape"), [(0.5, (42, 3)), (0.8, (21, 6)), (0.9, (12, 10)), (1, (1, 128))])
def test_bands_are_as_long_as_few_misses_allow(similarity, shape):
    bands, width = shape
    assert banding(similarity) == shape
    assert (1 - similarity**width) ** bands <= MOST_MISSED
    longer = width + 1
    assert longer > SLOTS or (1 - similarity**longer) ** (SLOTS // longer) > MOST_MISSED


def test_slots_agree_as_often_as_shingles():
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghij", k=8)) for _ in range(60)]
    agreeing, expected = [], []
    for _ in range(100):
        a = " ".join(rng.choices(words, k=20))
        b = a[: len(a) * 3 // 4] + " " + " ".join(rng.choices(words, k=5))
        slots_NP = sketch([a, b])
        agreeing.append((slots_NP[0] == slots_NP[1]).mean())
        sets = [{text[i : i + 5] for i in range(len(text) - 4)} for text in (a, b)]
        expected.append(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))
    assert 0.5 < np.mean(expected) < 0.7
    assert abs(np.mean(agreeing) - np.mean(expected)) < 4 * 0.043 / 10  # binomial, of 128 slots and 100 pairs


def test_keys_are_the_same_on_every_machine():
    texts = ["a small red dog sees a bird", "is it\nyes", "今天天气很好", " ".join(map(str, range(2000)))]
    found = keys(texts, 0.9)
    assert found.shape == (4, 12)
    assert [f"{key:016x}" for key in found[:, 0].tolist()] == GOLDEN


GOLDEN = ["52c6f99547eb6284", "af9ff310f88985b9", "96278e99091d96e7", "56f13e026d0ae696"]


def test_a_text_has_its_keys_whatever_stands_beside_it():
    texts = ["one two three four", "five", "prompt\nsix", "seven eight nine ten"]
    together = keys(texts, 0.8)
    assert together.tolist() == [keys([text], 0.8)[0].tolist() for text in texts]
    assert keys([], 0.8).shape == (0, 21)


def test_a_prompt_is_no_part_of_the_text():
    slots_NP = sketch(["a red dog\na small bird", "a small bird\na red dog"])
    assert (slots_NP[0] == slots_NP[1]).mean() < 0.1


@pytest.mark.parametrize("characters", [1, 7, 100])
def test_blocks_hold_every_text_once_in_order(characters):
    texts = ["", "abc", "defghijkl", "m", "nop", ""]
    found = list(blocks(pl.Series(texts), characters))
    assert [text for block in found for text in block] == texts
    assert all(sum(map(len, block[1:])) <= characters for block in found)
    assert len(found) == (1 if characters == 100 else len(found))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rensa", None)
    with pytest.raises(UserError, match=r"validation\.similarity needs rensa: pip install 'gdflow\[minhash\]'"):
        sketcher()


def test_another_algorithm_is_refused(monkeypatch):
    monkeypatch.setattr("gdcore.resemblance.sketches.ALGORITHM_VERSION", 3)
    with pytest.raises(UserError, match=r"version 2 of its algorithm, expected 3: pip install"):
        sketcher()
