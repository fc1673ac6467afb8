"""The reader of CSV: quoting, separators, rows that are known by their line, and quotes that are never closed."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdcore.corpora import delimited
from gdcore.corpora.opened import opened
from gdcore.errors import UserError
from tests.corpora.corpus_case import build_bytes, train_texts


def reasons(tmp_path: Path, data: str, **options: object) -> tuple[list[str], list[tuple[int, str]]]:
    built = build_bytes(tmp_path, data.encode(), ".csv", **options)
    return train_texts(built), [(line, reason) for _, line, reason in built.quarantine]


def test_columns_and_quoting(tmp_path: Path) -> None:
    data = 'id,reply,"question",k\r\n1,"Yes, ""indeed""","Is it\r\nso?",3\r\n2,no 5" pipe,why,4\r\n'
    built = build_bytes(
        tmp_path, data.encode(), ".csv", text_column="reply", prompt_column="question", label_column="k"
    )
    assert built.texts["train"].select("text", "prompt", "label", "source", "line").rows() == [
        ('Yes, "indeed"', "Is it so?", "3", "data.csv", 2),
        ('no 5" pipe', "why", "4", "data.csv", 4),  # known by the line on which it begins
    ]
    assert built.summary["repaired"] == {"line_ending": 2, "white_space": 1}


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_separators(tmp_path: Path, mark: str) -> None:
    assert reasons(tmp_path, f"id{mark}text\n1{mark}one\n2{mark}two\n") == (["one", "two"], [])


def test_one_column_needs_none(tmp_path: Path) -> None:
    assert reasons(tmp_path, 'text\none\n"two, or more"\n') == (["one", "two, or more"], [])


def test_rejected_rows(tmp_path: Path) -> None:
    data = "text,k\ngood,a\ntoo,many,fields\nfew\n\n,b\nno class,\nlate,c\n"
    texts, rejected = reasons(tmp_path, data, label_column="k")
    assert texts == ["good", "late"]
    assert rejected == [
        (3, "wrong_number_of_fields"),
        (4, "wrong_number_of_fields"),
        (5, "empty"),
        (6, "empty"),
        (7, "missing_label"),
    ]


def test_a_quote_that_is_never_closed_costs_its_line(tmp_path: Path) -> None:
    data = 'text,k\none,1\n"two,2\nthree,3\nfour,4\n'
    assert reasons(tmp_path, data) == (["one", "three", "four"], [(3, "unclosed_quote")])


def test_unclosed_quotes_take_no_more_than_their_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "MAX_LINE", 50_000)
    # each line opens one anew
    texts, rejected = reasons(tmp_path, 'text,k\none,1\n"a\n' + 'x","y\n' * 40_000)
    assert texts == ["one"]
    assert [line for line, _ in rejected] == list(range(3, 40_004))


def test_a_header_that_is_not_to_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.csv has no column 'text' for the text; its columns are: id, body\."):
        reasons(tmp_path, "id,body\n1,one\n")
    with pytest.raises(UserError, match="has the column 'text', for the text, 2 times"):
        reasons(tmp_path, "text,text\none,two\n")
    with pytest.raises(UserError, match="no header that could be read"):
        reasons(tmp_path, 'text,"k\n1,one\n')


def test_nothing_but_a_header(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="usable texts is left for train"):
        reasons(tmp_path, "text\n")


@given(
    rows=st.lists(st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\r\0"))] * 2), min_size=1),
    block=st.integers(1, 40),
)
def test_what_python_writes_is_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], block: int
) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([("text", "k"), *rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gdcore.corpora.lines.BLOCK", block)
        path = tmp_path_factory.mktemp("csv") / "a.csv"
        path.write_bytes(written.getvalue().encode())
        with opened(path) as file:
            read = [fields for _, block in delimited.Rows(file).blocks() for fields in block]
    assert read[1:] == [list(row) for row in rows]
