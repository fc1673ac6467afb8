"""Build a corpus out of bytes, and look at it."""

import json
from pathlib import Path
from shutil import rmtree
from typing import Any, NamedTuple

import polars as pl

from gdcore.corpora.build import CorpusConfig, build_corpus
from gdcore.errors import UserError

SPLITS = ("train", "valid", "test")


class Built(NamedTuple):
    """What a build left: used texts by split in order, quarantine as (record, line, reason), and the summary."""

    texts: dict[str, pl.DataFrame]
    quarantine: list[tuple[str, int, str]]
    summary: dict[str, Any]

    @property
    def used(self) -> list[str]:
        rows = pl.concat(self.texts.values()).sort("source", "line")
        return rows["text"].to_list()


def build(out: Path, **options: Any) -> Built:
    """Build and read back, having checked that every record is accounted for."""
    for _ in build_corpus(CorpusConfig(**options), out):
        pass
    texts = {split: pl.read_parquet(out / f"{split}.parquet") for split in SPLITS}
    quarantine = pl.read_parquet(out / "quarantine.parquet")
    summary = json.loads((out / "summary.json").read_text())
    assert summary["read"] == summary["used"] + summary["quarantined"]
    assert summary["splits"] == {split: len(frame) for split, frame in texts.items()}
    assert summary["used"] == sum(summary["splits"].values())
    assert summary["quarantined"] == len(quarantine) == sum(summary["reasons"].values())
    return Built(texts, quarantine.select("record", "line", "reason").rows(), summary)


def build_bytes(folder: Path, data: bytes, suffix: str = ".txt", **options: Any) -> Built:
    """The corpus of one file that holds `data`; enough filler goes to valid and test to keep them from being empty."""
    path = folder / f"data{suffix}"
    path.write_bytes(data)
    for side in ("valid", "test"):
        (folder / f"{side}.txt").write_text(f"the {side} side\n")
    sides = {"valid": (str(folder / "valid.txt"),), "test": (str(folder / "test.txt"),)}
    return build(folder / "out", train=(str(path),), **sides, **options)


def attempt(folder: Path, data: bytes, suffix: str, **options: Any) -> Built | str:
    """The same of a file that may be refused: what is then said."""
    rmtree(folder / "out", ignore_errors=True)
    try:
        return build_bytes(folder, data, suffix, **options)
    except UserError as error:
        return str(error)


def train_texts(built: Built) -> list[str]:
    return built.texts["train"]["text"].to_list()
