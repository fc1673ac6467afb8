"""Drift: each measure by hand, floors that hold text against itself, and a verdict that moves with the text."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_corpus import write_corpus

from gdcore.errors import UserError
from gdcore.release.drift import DriftConfig, Pool, Sample, compare, divergence, length_gap, new_words


def sample(words: list[int], lengths: list[int]) -> Sample:
    return Sample(np.array(words), np.array(lengths))


def test_the_measures_by_hand() -> None:
    reference = sample([2, 2, 0], [1, 2, 3])
    assert new_words(reference, sample([1, 0, 3], [1])) == 0.75
    assert divergence(reference, reference) == 0
    assert divergence(sample([1, 0], [1]), sample([0, 1], [1])) == pytest.approx(1)
    # (½, ½) against (1, 0), their middle (¾, ¼): ½·(½·log₂ ⅔ + ½·log₂ 2) + ½·log₂ 4⁄3.
    assert divergence(sample([1, 1], [1]), sample([2, 0], [1])) == pytest.approx(0.311278, abs=1e-6)
    assert length_gap(reference, reference) == 0
    assert length_gap(sample([1], [1, 1, 5, 5]), sample([1], [1, 5, 5, 5])) == 0.25
    assert length_gap(sample([1], [1, 2]), sample([1], [8, 9])) == 1


def test_nothing_is_held_against_itself() -> None:
    champion = [f"text number {n}" for n in range(60)]
    pool = Pool(champion, champion[:30])
    new, own, reference = pool.draw(15, np.random.default_rng(0))
    texts = {name: {tuple(pool.units[row]) for row in rows} for name, rows in (("new", new), ("own", own))}
    left = {tuple(pool.units[row]) for row in reference}
    assert not left & texts["new"]
    assert not left & texts["own"]
    assert pool.sample(np.array([0])).words_V.sum() == 3
    assert pool.sample(np.array([7, 3])).lengths_N.tolist() == [3, 3]


def sentences(number: int, seed: int, words: int = 60, least: int = 4) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(words)}" for _ in range(least + draw.randrange(5))) for _ in range(number)]


def drift(tmp_path: Path, before: list[str], after: list[str], **limits: Any) -> dict[str, Any]:
    corpora = [write_corpus(tmp_path / name, texts) for name, texts in (("before", before), ("after", after))]
    config = DriftConfig.model_validate({"draws": 8, "num_texts": 150} | limits)
    for _ in compare(config, *corpora, tmp_path):
        pass
    return json.loads((tmp_path / "drift.json").read_text())


def moved(report: dict[str, Any]) -> set[str]:
    return {each["name"] for each in report["moved"] if each["drifted"]}


def test_more_of_the_same_has_not_moved(tmp_path: Path) -> None:
    before = sentences(400, 0)
    told = drift(tmp_path, before, [*before, *sentences(100, 1)])
    assert (told["due"], moved(told)) == (False, set())
    assert told["growth"]["share"] == 0.25
    assert all(each["excess"]["low"] <= 0.02 for each in told["moved"])


def test_much_more_of_the_same_is_due_for_its_amount(tmp_path: Path) -> None:
    before = sentences(300, 0)
    told = drift(tmp_path, before, [*before, *sentences(300, 1)])
    assert told["due"]
    assert moved(told) == set()
    assert "100%" in told["reason"]


def test_new_words_longer_texts_and_both(tmp_path: Path) -> None:
    before = sentences(300, 0)
    (other := tmp_path / "other").mkdir()
    words = drift(other, before, sentences(300, 1, words=80), max_growth=9)
    assert {"new_words", "divergence"} <= moved(words)
    assert "length" not in moved(words)
    assert words["new_words"][0][0] in {f"w{n}" for n in range(60, 80)}
    longer = drift(tmp_path, before, sentences(300, 1, least=7), max_growth=9)
    assert {"length", "auc"} >= moved(longer) >= {"length"}


def test_too_few_texts_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="30 and 400 training texts are too few"):
        drift(tmp_path, sentences(30, 0), sentences(400, 1))
