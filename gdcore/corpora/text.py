"""Reader of `.txt`: one text a line."""

from collections.abc import Iterator

import polars as pl

from gdcore.corpora.config import CorpusConfig
from gdcore.corpora.lines import read_lines
from gdcore.corpora.opened import Opened

SUFFIX = ".txt"
HAS_COLUMNS = False


def read(file: Opened, config: CorpusConfig) -> Iterator[pl.DataFrame]:
    """Frames of (text, line, reason, …): each line is a text, blank ones too (they are counted, then quarantined)."""
    del config  # a plain line has no columns
    return read_lines(file)
