"""Text in: read, repaired, freed of repetitions, divided. Every record is used or in quarantine with a reason.

`build_corpus` streams: it holds one block of lines at a time, and what it must know of the texts seen (`seen`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from gdcore.corpora import docstrings, drawn, pii, segmentation
from gdcore.corpora.clean import REPAIRS, clean
from gdcore.corpora.config import EMBEDDED, CorpusConfig
from gdcore.corpora.found import reader
from gdcore.corpora.opened import opened
from gdcore.corpora.seen import Seen
from gdcore.corpora.sources import identity, source_files, source_versions, sources
from gdcore.corpora.split import SPLITS, digest, side
from gdcore.corpora.writer import Writer
from gdcore.errors import UserError
from gdcore.progress import Progress

__all__ = ["EMBEDDED", "CorpusConfig", "build_corpus", "identity", "source_files", "source_versions"]

MAX_RECORD = 500  # characters of a record kept in quarantine
IN_MEMORY = 1 << 22  # digests of texts seen, 32 MiB a split; more of them stand on the disk

# What a reader may leave out, and its value then.
DEFAULTS = {
    **dict.fromkeys(("prompt", "label", "group", "reason"), pl.lit(None, pl.String)),
    **dict.fromkeys(REPAIRS, pl.lit(False)),
}


class Block(NamedTuple):
    """Records as read: `side` is the split they were given for, or "" where it is to be drawn."""

    side: str
    frame: pl.DataFrame
    done: int
    total: int


def build_corpus(config: CorpusConfig, out: Path, known: Mapping[str, Any] | None = None) -> Iterator[Progress]:
    """Write {train,valid,test,quarantine}.parquet and summary.json into `out`; the same input gives the same bytes.

    `known` is the corpus's `identity`, where it was taken before. Raises UserError, and leaves nothing behind, when a
    source cannot be used, when a file changes while it is read, or has changed since its identity was taken, when
    every record is rejected, and when a split would be empty.
    """
    drawn_from = drawn.source(config)
    if drawn_from:
        blocks = (Block(*each) for each in drawn.read(config, drawn_from))
    else:
        blocks = _read_packages(config) if config.packages else _read_files(config, known)
    read, names = 0, set[str]()
    reasons, repaired, characters = Counter[str](), Counter[str](), np.zeros(3, dtype=np.int64)
    examples, personal = dict[str, str](), Counter[str]()
    with Writer(out, SPLITS) as writer:
        division = Division(config, writer.scratch)
        for block in blocks:
            read += len(block.frame)
            names.update(block.frame["source"].unique())
            frame, found = pii.search(_cleaned(block.frame, config), config.pii)
            personal.update(found)
            frame = division.divide(frame, block.side)
            rejected = frame.filter(pl.col("reason").is_not_null())
            used = frame.filter(pl.col("reason").is_null())
            writer.quarantine.write(rejected.with_columns(pl.col("record").str.slice(0, MAX_RECORD)))
            for name, rows in used.partition_by("side", as_dict=True).items():
                writer.splits[SPLITS[name[0]]].write(rows)
            reasons.update(dict(rejected["reason"].value_counts().iter_rows()))
            repaired.update(used.select(pl.col(*REPAIRS).sum()).row(0, named=True))
            characters += segmentation.count(used["text"])
            for row in rejected.unique("reason", keep="first", maintain_order=True).iter_rows(named=True):
                examples.setdefault(row["reason"], f"{row['source']}:{row['line']} {row['record'][:60]!r}")
            yield Progress(block.done, block.total, f"{read:,} texts read, {reasons.total():,} in quarantine")
        splits = {split: table.num_rows for split, table in writer.splits.items()}
        num_used, num_rejected = sum(splits.values()), writer.quarantine.num_rows
        assert read == num_used + num_rejected, f"{read} read, but {num_used} used + {num_rejected} quarantined"
        _require_texts(config, read, splits, reasons, examples)
        kind, why = segmentation.decide(*(int(num) for num in characters))
        writer.summarise(
            {
                "read": read,
                "used": num_used,
                "quarantined": num_rejected,
                "reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
                "repaired": {rule: int(repaired[rule]) for rule in REPAIRS if repaired[rule]},
                "pii": {kind: personal[kind] for kind in pii.PATTERNS if personal[kind]},
                "splits": splits,
                "segmentation": kind,
                "segmentation_reason": why,
                "sources": len(names),
            }
        )
        if drawn_from:
            drawn.keep(drawn_from, writer.draft)


class Division:
    """Gives each text its side, and finds those that were seen before; `scratch` is a folder for what it remembers."""

    def __init__(self, config: CorpusConfig, scratch: Path) -> None:
        self.config = config
        # What is drawn out of the texts that were not given for valid or test.
        self.valid = 0.0 if config.drawn or "valid" in config.sides else config.valid_fraction
        self.test = 0.0 if config.drawn or "test" in config.sides else config.test_fraction
        order = ("test", "valid", "train")  # in which they are read
        self.seen = {split: Seen(scratch / split, IN_MEMORY) for split in order}

    def divide(self, frame: pl.DataFrame, given: str) -> pl.DataFrame:
        """Add `side`; fill `reason` of repetitions. `given`: the split the frame's texts were given for, or ""."""
        given = given or "train"
        rows = frame["reason"].is_null().arg_true()
        texts = frame[rows]
        pair = pl.when(pl.col("prompt").is_null()).then("text").otherwise(pl.col("prompt") + "\0" + pl.col("text"))
        keys, groups = texts.select(key=pair, group=pl.coalesce("group", "prompt", "text"))
        key_digests = digest(keys.to_list(), self.config.split_seed)
        group_digests = key_digests if keys.equals(groups) else digest(groups.to_list(), self.config.split_seed)
        if given == "train":
            sides = side(group_digests, self.valid, self.test)
        else:
            sides = np.full(len(texts), SPLITS.index(given), dtype=np.uint8)
        before = list(self.seen)[: list(self.seen).index(given)]
        again = {f"also_in_{split}": self.seen[split].holds(key_digests) for split in before}
        new = self.seen[given].add(key_digests)
        if not self.config.keep_duplicates:
            again["duplicate"] = ~new
        verdicts = pl.DataFrame({"row": rows, "side": sides, **again})
        reasons = (pl.when(name).then(pl.lit(name)) for name in again)
        return (
            frame.with_row_index("row")
            .join(verdicts, on="row", how="left", maintain_order="left")
            .with_columns(reason=pl.coalesce("reason", *reasons))
        )


def records(config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """The records of the user's files, cleaned, repetitions too; `reason` says why one cannot be used."""
    for block in _read_files(config, None):
        yield _cleaned(block.frame, config)


def _cleaned(frame: pl.DataFrame, config: CorpusConfig) -> pl.DataFrame:
    missing = {name: value for name, value in DEFAULTS.items() if name not in frame.columns}
    return clean(frame.with_columns(**missing), config)


def _read_files(config: CorpusConfig, known: Mapping[str, Any] | None) -> Iterator[Block]:
    """The user's files, block by block."""
    files = sources(config)
    digests = {(side, name): digest for side, name, digest in known["files"]} if known else {}
    total = sum(source.path.stat().st_size for source in files)
    done = 0
    for source in files:
        module = reader(source.path)
        assert module, f"{source.path} is of no kind that can be read"
        with opened(source.path) as file:
            for frame in module.read(file, config):
                read = min(done + frame["offset"][-1], total)
                yield Block(source.side, frame.with_columns(source=pl.lit(source.name)), read, total)
            file.check_unchanged(digests.get((source.side, source.name)))
        done += source.path.stat().st_size


def _read_packages(config: CorpusConfig) -> Iterator[Block]:
    """The documentation of installed packages, a few modules at a time."""
    for frame, done, total in docstrings.read(config.packages):
        yield Block("", frame, done, total)


def _require_texts(
    config: CorpusConfig, read: int, splits: dict[str, int], reasons: Counter[str], examples: dict[str, str]
) -> None:
    """Raise UserError when no text is left, or none on one side."""
    used = sum(splits.values())
    if not used:
        top = "; ".join(f"{reason} {num:,} times (first: {examples[reason]})" for reason, num in reasons.most_common(3))
        raise UserError(
            f"None of the {read:,} records of the corpus can be used. Why: {top}. "
            "Mend the files, or the corpus settings that reject them."
        )
    empty = [split for split, num in splits.items() if not num]
    if empty and config.train:
        top = "; ".join(f"{reason} {num:,} times (first: {examples[reason]})" for reason, num in reasons.most_common(2))
        raise UserError(
            f"None of the corpus's {used:,} usable texts is left for {' or '.join(empty)}. "
            + (f"Left out: {top}. " if top else "")
            + "Give the splits files that share no texts, the test split being served first."
        )
    if empty:
        raise UserError(
            f"The corpus has {used:,} usable texts, and none of them falls in {' or '.join(empty)}. Give more "
            "text, raise corpus.valid_fraction and corpus.test_fraction, or give the split's files."
        )
