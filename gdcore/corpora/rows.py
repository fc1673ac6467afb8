"""Some rows of a table that may be larger than memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray


def spread(number: int, most: int) -> NDArray[np.int64]:
    """The numbers of at most so many rows out of `number`, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).astype(np.int64))


def gather(path: Path, columns: Sequence[str], rows: NDArray[np.integer]) -> pl.DataFrame:
    """These rows of a Parquet file, given in rising order; the others are passed by, not held."""
    wanted = pl.Series("row", rows, pl.UInt32).implode()
    table = pl.scan_parquet(path).select(columns).with_row_index("row").filter(pl.col("row").is_in(wanted))
    return table.drop("row").collect(engine="streaming")
