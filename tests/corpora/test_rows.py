"""Some rows of a table, in order, the others never in hand."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdcore.corpora.rows import gather, spread


@given(number=st.integers(0, 500), most=st.integers(1, 600))
def test_rows_are_spread_from_the_first_to_the_last(number: int, most: int) -> None:
    rows = spread(number, most)
    assert len(rows) == min(number, most)
    if number:
        assert rows[0] == 0
        assert most == 1 or rows[-1] == number - 1
        assert np.ptp(np.diff(rows)) <= 1 if len(rows) > 1 else True


ROWS_OF_BLOCKS = """
import sys
import numpy as np
from gdcore.corpora import rows
from gdcore.memory import peak
rows.BLOCK_ROWS = 1_000
before = peak()
found = rows.gather(sys.argv[1], ["text"], np.arange(0, 40_000, 1_000))
assert len(found) == 40
print(peak() - before)
"""


@pytest.mark.parametrize("wanted", [[], [0], [3, 7, 8, 99_999], list(range(0, 100_000, 7))])
def test_gathered_rows_are_the_table_s(wanted: list[int], tmp_path: Path) -> None:
    table = pl.DataFrame({"text": [f"text {i}" for i in range(100_000)], "label": [None, "a"] * 50_000})
    table.write_parquet(tmp_path / "train.parquet", row_group_size=1_000)
    found = gather(tmp_path / "train.parquet", ["label", "text"], np.array(wanted, np.int64))
    assert found.rows() == table[wanted].select("label", "text").rows()


def test_a_text_that_is_gathered_does_not_keep_its_block_in_memory(tmp_path: Path) -> None:
    block = pl.DataFrame({"text": [f"{row} {'text ' * 2_000}" for row in range(1_000)]})
    pl.concat([block] * 40).write_parquet(tmp_path / "train.parquet", row_group_size=1_000)
    command = [sys.executable, "-c", ROWS_OF_BLOCKS, str(tmp_path / "train.parquet")]
    took = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert took < 200_000_000, "forty texts, of forty blocks of 10 MB each"
