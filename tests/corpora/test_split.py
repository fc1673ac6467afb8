"""The split: stable, proportional, never dependent on what else the corpus holds."""

from pathlib import Path

import numpy as np

from gdcore.corpora.split import digest, side
from tests.corpora.corpus_case import SPLITS, Built, build

GOLDEN = [10391993203088093070, 17286683118681785245]


def sides(built: Built) -> dict[str, str]:
    return {text: split for split in SPLITS for text in built.texts[split]["text"]}


def test_digests_are_the_same_everywhere() -> None:
    assert digest(["A cat sits.", "猫"], seed=0).tolist() == GOLDEN
    assert digest(["A cat sits."], seed=1).tolist() != GOLDEN[:1]


def test_shares() -> None:
    drawn = side(digest([f"text {i}" for i in range(20_000)], 0), 0.1, 0.2)
    assert np.allclose(np.bincount(drawn) / len(drawn), [0.7, 0.1, 0.2], atol=0.01)


def test_no_text_changes_side_as_the_corpus_grows(tmp_path: Path) -> None:
    path = tmp_path / "corpus.txt"
    lines = [f"line number {i}" for i in range(3_000)]
    path.write_text("\n".join(lines[1_000:2_000]))
    before = sides(build(tmp_path / "before", paths=(str(path),)))
    path.write_text("\n".join(lines))
    after = sides(build(tmp_path / "after", paths=(str(path),)))
    assert len(before) == 1_000
    assert len(after) == 3_000
    assert before.items() <= after.items()
    other = sides(build(tmp_path / "other", paths=(str(path),), split_seed=1))
    assert other.keys() == after.keys()
    assert other != after
