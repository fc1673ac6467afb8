"""Some rows of a table that may be larger than memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

BLOCK_ROWS = 1 << 18


def spread(number: int, most: int) -> NDArray[np.int64]:
    """The numbers of at most so many rows out of `number`, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).astype(np.int64))


def gather(path: Path, columns: Sequence[str | pl.Expr], rows: NDArray[np.integer]) -> pl.DataFrame:
    """These rows of a Parquet file, given in rising order; the others are passed by, a block at a time, not held."""
    table = pl.scan_parquet(path).select(columns)
    found = [table.head(0).collect()]
    begins = np.unique(rows // BLOCK_ROWS) * BLOCK_ROWS
    for first, end in zip(begins, np.searchsorted(rows, begins + BLOCK_ROWS), strict=True):
        here = rows[np.searchsorted(rows, first) : end] - first
        found.append(_apart(table.slice(int(first), BLOCK_ROWS).collect()[here]))
    return pl.concat(found)


def _apart(frame: pl.DataFrame) -> pl.DataFrame:
    """A copy by itself. Strings that were picked out are views, each of which keeps all the text round it in memory."""
    return cast(pl.DataFrame, pl.from_arrow(frame.to_arrow(compat_level=pl.CompatLevel.oldest())))
