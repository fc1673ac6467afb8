"""Texts that broke a rule, and those that they resemble: which they are, where they stand and what is kept of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore.corpora.rows import gather
from gdcore.tokens import SPLITS
from tasks.expectations.polars_engine import Evaluation

MAX_RECORD = 500  # characters of a text kept in quarantine
MAX_SIMILAR = 200  # and of two that are similar
KEY = ["split", "row"]
PLACE = [*KEY, "source", "line"]
SCHEMA = {"text": pl.String, "source": pl.String, "line": pl.UInt32}
NO_ROWS = pl.DataFrame(schema={"split": pl.String, "row": pl.Int64})


def mark(flags: Mapping[str, NDArray[np.bool_]], rows: pl.DataFrame, flag: bool) -> None:
    """Set the flags `(N,)` of each split at some rows."""
    for split, flags_N in flags.items():
        flags_N[rows.filter(pl.col("split") == split)["row"].to_numpy()] = flag


def write_quarantine(evaluations: list[Evaluation], corpus: Path, out: Path) -> pl.DataFrame:
    """Write the texts that broke a rule, with the first they broke as the reason, and all of them."""
    offending = (
        pl.concat([evaluation.offending.explode("rules") for evaluation in evaluations])
        .group_by(*PLACE, maintain_order=True)
        .agg(pl.col("rules"))
        .with_columns(reason=pl.col("rules").list.first())
    )
    quarantine = with_texts(offending, corpus, MAX_RECORD).select(
        pl.col("text").alias("record"), "source", "line", "reason", *KEY, "rules"
    )
    quarantine = quarantine.sort(pl.col("split").replace_strict({split: i for i, split in enumerate(SPLITS)}), "row")
    quarantine.write_parquet(out / "quarantine.parquet")
    return quarantine


def write_similar(pairs: pl.DataFrame, corpus: Path, out: Path) -> pl.DataFrame:
    """Write each text that was taken out as similar, and the one it is similar to: where both are, and their texts."""
    columns = ["source", "line", "text"]
    own = with_texts(pairs.select(*KEY, "similarity"), corpus, MAX_SIMILAR, columns)
    like = with_texts(pairs.select(split="like_split", row="like_row"), corpus, MAX_SIMILAR, columns)
    similar = pl.concat([own, like.select(pl.all().name.prefix("like_"))], how="horizontal")
    similar.write_parquet(out / "similar.parquet")
    return similar


def with_texts(
    rows: pl.DataFrame, corpus: Path, length: int | None = None, columns: Sequence[str] = ("text",)
) -> pl.DataFrame:
    """Add the texts of some rows, or so many characters of each, and other columns of the corpus, in their order.

    The corpus is read a block at a time, and only where there are such rows: a join would hold all its texts.
    """
    found = [pl.DataFrame(schema={"split": pl.String, "row": pl.Int64, **{name: SCHEMA[name] for name in columns}})]
    asked = [pl.col(name).str.slice(0, length) if name == "text" else pl.col(name) for name in columns]
    for (split,), some in rows.select(KEY).unique().sort(KEY).group_by("split", maintain_order=True):
        texts = gather(corpus / f"{split}.parquet", asked, some["row"].to_numpy())
        found.append(pl.concat([some, texts], how="horizontal"))
    return rows.join(pl.concat(found), on=KEY, how="left", maintain_order="left")
