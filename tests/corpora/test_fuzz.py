"""Thousands of files made by code, through every reader: no crash, no hang, and counts that add up."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from tests.corpora.corpus_case import Built, attempt
from tests.corpora.dirt import SPECIALS, SUFFIXES, Dirt, dirt

UNCLEAN = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\ufeff\u202a-\u202e\u2066-\u2069]|  |^ | $")
PATIENCE = 60  # seconds for one small file, on a machine that does other things too


def check(folder: Path, case: Dirt) -> bool:
    """Was it used? If so the account adds up; if not there is one paragraph about it and nothing on the disk."""
    begun = time.monotonic()
    built = attempt(folder, case.data, case.suffix)
    assert time.monotonic() - begun < PATIENCE
    if isinstance(built, str):
        assert case.num_records is None or "binary data" in built, built  # what is whole is read
        assert built
        assert "\n" not in built
        assert not (folder / "out").exists() or not list((folder / "out").iterdir())
        return False
    if case.num_records is not None:
        assert built.summary["read"] == case.num_records + 2  # and the two of the held-out sides
    assert not [text for text in built.used if UNCLEAN.search(text)]
    return True


def run(folder: Path, numbers: range) -> None:
    used = 0
    for number in numbers:
        try:
            used += check(folder, dirt(number))
        except BaseException as error:
            error.add_note(f"the file of number {number}")
            raise
    assert 0.5 < used / len(numbers) < 0.99


def test_hundreds_of_files(tmp_path: Path) -> None:
    run(tmp_path, range(200))


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_ten_thousand_files(tmp_path: Path) -> None:
    run(tmp_path, range(200, 10_300))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_number_gives_the_same_file(suffix: str) -> None:
    cases = {number: case for number in range(60) if (case := dirt(number)).suffix.startswith(suffix)}
    assert len(cases) > 5
    assert all(dirt(number) == case for number, case in cases.items())


@pytest.mark.bench_data
@pytest.mark.skipif("GDFLOW_BENCH_DATA" not in os.environ, reason="needs GDFLOW_BENCH_DATA")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_naughty_strings(tmp_path: Path, suffix: str) -> None:
    from tests.corpora.dirt import as_file

    strings = json.loads((Path(os.environ["GDFLOW_BENCH_DATA"]) / "dirty/blns.json").read_text("utf-8"))
    data, num_records = as_file(suffix, ["a good line", *strings])
    built = attempt(tmp_path, data, suffix)
    assert isinstance(built, Built)
    assert built.summary["read"] == num_records + 2
    assert built.summary["used"] > 450
    assert not [text for text in built.used if UNCLEAN.search(text)]


def test_special_tokens_are_among_the_dirt() -> None:
    assert sum(any(token.encode() in dirt(number).data for token in SPECIALS) for number in range(100)) > 10
