"""The classes of a labelled corpus, and which one each text of a split belongs to.

Shapes: N texts of a split.
"""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from gdcore.errors import UserError

UNKNOWN = -1
"""The class of a text whose label is missing, or that training has not seen."""


def labels(corpus: Path, validation: Path, split: str) -> pl.Series:
    """The labels of the texts that validation let through, in row order; null where there is none."""
    kept = np.load(validation / f"kept_{split}.npy")
    return pl.read_parquet(corpus / f"{split}.parquet", columns=["label"])["label"].gather(kept)


def classes(corpus: Path, validation: Path) -> list[str]:
    """The labels of the train split, sorted. Raises UserError when there are not two."""
    found: list[str] = labels(corpus, validation, "train").drop_nulls().unique().sort().to_list()
    if len(found) < 2:
        held = f"all texts of the train split are labelled {found[0]!r}" if found else "no text has a label"
        raise UserError(
            f"a classifier needs texts of at least two classes, but {held}. Say which key of the .jsonl objects holds "
            "the label with --label-column, or give another corpus."
        )
    return found


def class_ids(labels_N: pl.Series, names: list[str]) -> NDArray[np.int64]:
    """The class of each text as its place in `names`; UNKNOWN for a missing or another label."""
    known = labels_N.cast(pl.Enum(names), strict=False).to_physical().cast(pl.Int64)
    return known.fill_null(UNKNOWN).to_numpy()
