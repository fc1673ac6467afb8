"""Each rule of the corpus stage, on a case worked by hand."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdcore.corpora import clean as rules
from gdcore.corpora.clean import REJECTIONS, REPAIRS, clean
from gdcore.corpora.config import CorpusConfig
from tests.corpora.corpus_case import build_bytes, train_texts

FILLER = b"a good line\n"


@pytest.mark.parametrize(
    ("data", "text", "rule"),
    [
        ("a\x00b\x07c", "abc", "control_characters"),
        ("a\x7fb\x85c", "ab c", "control_characters"),
        ("zero\u200bwidth\u2060 and\ufeff mark", "zerowidth and mark", "invisible_characters"),
        ("left\u202eto\u2066right\u200e", "lefttoright", "invisible_characters"),
        ("soft\u00adhyphen", "softhyphen", "invisible_characters"),
        ("Cafe\u0301", "Café", "unicode_form"),
        ("a\u200b\u0301", "á", "unicode_form"),  # the accent joins its letter once nothing stands between them
        ("  two   spaces\tand a tab ", "two spaces and a tab", "white_space"),
        ("no\u00a0break\u3000and\u2028line", "no break and line", "white_space"),
    ],
)
def test_repairs(tmp_path: Path, data: str, text: str, rule: str) -> None:
    built = build_bytes(tmp_path, data.encode() + b"\n" + FILLER)
    assert train_texts(built) == [text, "a good line"]
    assert built.summary["repaired"][rule] == 1
    assert rule in REPAIRS


def test_joiners_that_spelling_needs_stay(tmp_path: Path) -> None:
    family, persian = "👨\u200d👩\u200d👧", "می\u200cخواهم"
    assert train_texts(build_bytes(tmp_path, f"{family}\n{persian}\n".encode())) == [family, persian]


def test_byte_order_mark_and_line_endings(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, b"\xef\xbb\xbfone\r\ntwo\rthree\nfour")
    assert train_texts(built) == ["one", "two", "three", "four"]
    assert built.texts["train"]["line"].to_list() == [1, 2, 3, 4]
    assert built.summary["repaired"] == {"bom": 1, "line_ending": 2}


def test_bytes_that_are_no_utf8_are_quarantined(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, FILLER + b"caf\xe9 au lait\n" + "lost \ufffd already\n".encode())
    assert built.quarantine == [
        ("caf\ufffd au lait", 2, "invalid_bytes"),
        ("lost \ufffd already", 3, "invalid_bytes"),
    ]


def test_lengths(tmp_path: Path) -> None:
    data = b"\n" + b"ab\n" + b"abc\n" + b"x" * 14 + b"\n \t \n" + b"y" * 15 + b"\n"
    built = build_bytes(tmp_path, data, min_characters=3, max_characters=14)
    assert train_texts(built) == ["abc", "x" * 14]
    assert [(line, reason) for _, line, reason in built.quarantine] == [
        (1, "empty"),
        (2, "too_short"),
        (5, "empty"),
        (6, "too_long"),
    ]


def test_a_quarantined_record_is_kept_as_read_and_cut(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, FILLER + b"x  y" * 2_000 + b"\n")
    assert built.quarantine == [(("x  y" * 2_000)[:500], 2, "too_long")]


def test_a_line_of_megabytes_is_cut_and_reading_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gdcore.corpora.lines.BLOCK", 64)
    monkeypatch.setattr("gdcore.corpora.lines.MAX_LINE", 100)
    built = build_bytes(tmp_path, FILLER + b"x" * 1_000 + b"\nthe next one\n")
    assert train_texts(built) == ["a good line", "the next one"]
    assert built.texts["train"]["line"].to_list() == [1, 3]
    assert built.quarantine == [("x" * 100, 2, "line_too_long")]


def test_repetitions(tmp_path: Path) -> None:
    data = b"one\ntwo\n one\nthe test side\nthe valid side\ntwo\n"
    built = build_bytes(tmp_path, data)
    assert train_texts(built) == ["one", "two"]
    assert [(line, reason) for _, line, reason in built.quarantine] == [
        (3, "duplicate"),
        (4, "also_in_test"),
        (5, "also_in_valid"),
        (6, "duplicate"),
    ]
    kept = build_bytes(tmp_path, data, keep_duplicates=True)
    assert train_texts(kept) == ["one", "two", "one", "two"]
    assert set(kept.summary["reasons"]) == {"also_in_test", "also_in_valid"}


@given(st.lists(st.text(), min_size=1))
def test_cleaning_twice_changes_nothing_more(texts: list[str]) -> None:
    columns = {"text": texts, "prompt": texts[::-1], "label": None, "reason": None}
    flags = dict.fromkeys(REPAIRS, False)
    schema = {**dict.fromkeys(columns, pl.String), **dict.fromkeys(flags, pl.Boolean)}
    frame = pl.DataFrame({**columns, **flags}, schema)
    once = clean(frame, CorpusConfig())
    twice = clean(once.with_columns(pl.lit(False).alias(rule) for rule in REPAIRS), CorpusConfig())
    assert once.select("text", "prompt").equals(twice.select("text", "prompt"))
    assert not twice.select(*REPAIRS).to_numpy().any()


def test_every_rule_says_what_it_does() -> None:
    assert all(len(words.split()) > 2 for table in (REPAIRS, REJECTIONS) for words in table.values())
    assert rules.__doc__
