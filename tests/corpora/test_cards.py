"""The corpus cards say what the code does."""

import os
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gdcore.corpora.build import EMBEDDED
from tests.corpora.corpus_case import build

DATA = Path(__file__).parents[2] / "data"
BENCHMARKS = os.environ.get("GDFLOW_BENCH_DATA", "")


def card(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / name / "corpus.toml").read_text())


@pytest.mark.parametrize("path", sorted(DATA.glob("*/corpus.toml")), ids=lambda path: path.parent.name)
def test_every_card_is_complete(path: Path) -> None:
    about = card(path.parent.name)
    assert about["name"] == path.parent.name
    assert {"title", "language", "record", "licence", "use", "counts"} <= about.keys()
    counts = about["counts"]
    assert counts["read"] == counts["used"] + counts["quarantined"]
    assert counts["used"] == counts["train"] + counts["valid"] + counts["test"]


def test_the_embedded_corpus_is_the_one_described() -> None:
    assert tuple(card("docstrings")["docstrings"]) == EMBEDDED


def test_the_grammar_gives_the_counts_of_its_card(tmp_path: Path) -> None:
    built = build(tmp_path, grammar={})
    read = {name: built.summary[name] for name in ("read", "used", "quarantined")}
    assert read | built.summary["splits"] == card("grammar")["counts"]


@pytest.mark.bench_data
@pytest.mark.skipif(not BENCHMARKS, reason="GDFLOW_BENCH_DATA is not set")
def test_coco_gives_the_counts_of_its_card(tmp_path: Path) -> None:
    about, folder = card("coco"), Path(BENCHMARKS) / "coco"
    for name, digest in about["sha256"].items():
        assert sha256((folder / name).read_bytes()).hexdigest() == digest
    built = build(tmp_path, train=(str(folder / "train.txt"),), test=(str(folder / "test.txt"),))
    read = {name: built.summary[name] for name in ("read", "used", "quarantined")}
    assert read | built.summary["splits"] == about["counts"]
    assert built.summary["reasons"] == {"duplicate": 176, "also_in_test": 7}
