"""Files of anybody's making: what is read, and what is refused in words."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdcore.errors import UserError
from gdcore.evaluation.text_files import read_records, read_texts


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["texts.txt", "texts", "texts.txt.gz", "texts.GZ"])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\ufeffone\r\n\ntwo\u2028three\n", ["one", "", "two\u2028three"]),
        ("one\rtwo\r", ["one", "two"]),
        ("one\n\n", ["one", ""]),
        ("?!\n…", ["?!", "…"]),
        ("x" * 3_000_000, ["x" * 3_000_000]),
    ],
)
def test_lines(tmp_path: Path, name: str, content: str, expected: list[str]) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content.encode(), 1) if name.lower().endswith(".gz") else content.encode())
    assert read_texts(path) == expected
    assert read_records(path) == (expected, None)


def test_objects(tmp_path: Path) -> None:
    lines = [{"text": "one", "kind": "a"}, {"kind": 3, "text": "two\nlines"}, {"kind": True, "text": "", "more": None}]
    path = written(tmp_path / "t.jsonl.gz", "\n\n".join(map(json.dumps, lines)).encode())
    assert read_records(path).texts == ["one", "two lines", ""]
    assert read_records(path, label_column="kind").labels == ["a", "3", "true"]
    path = written(tmp_path / "t.JSONL", b'{"body": "half a pair \\ud83d"}')
    assert read_records(path, "body").texts == ["half a pair ?"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("t.txt", b"", "holds no text"),
        ("t.txt", b"\n \n", "holds no text"),
        ("t.txt", b"ok\nca\xe9\n", "line 2: not UTF-8"),
        ("t.txt", b"a\0b\n", "a binary file"),
        ("t.txt", "text".encode("utf-16"), "not UTF-8"),
        ("t.jsonl", b"", "holds no text"),
        ("t.jsonl", b'{"text": ""}', "holds no text"),
        ("t.jsonl", b'{"text": "a"}\n{"text": ', "line 2: not JSON"),
        ("t.jsonl", b'"a"', "line 1: .* is no JSON object"),
        ("t.jsonl", b"[" * 200_000, "line 1: not JSON"),
        ("t.jsonl", b'{"text": "a", "b": 1}\n{"body": "a"}', "line 2: no column 'text' for the text.*body"),
        ("t.jsonl", b'{"text": null}', "line 1: 'text' is not a text but null"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        read_records(written(tmp_path / name, content))


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", b'{"text": "a", "kind": ["x"]}')
    with pytest.raises(UserError, match=r"the label 'kind' is \[\"x\"\]; expected a string"):
        read_records(path, label_column="kind")
    with pytest.raises(UserError, match="no column 'sort' for the label"):
        read_records(path, label_column="sort")
    with pytest.raises(UserError, match="plain text has no column 'kind'"):
        read_records(written(tmp_path / "t.txt", b"a"), label_column="kind")


@pytest.mark.parametrize(
    "content",
    [b"not packed", gzip.compress(b"text" * 100)[:-9], b"\x1f\x8b\x08" + b"\0" * 40],
    ids=["plain", "cut", "damaged"],
)
def test_a_packed_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.txt.gz").write_bytes(content)
    with pytest.raises(UserError, match="not a whole gzip file"):
        read_texts(tmp_path / "t.txt.gz")
    with pytest.raises(UserError, match="cannot be read"):
        read_texts(tmp_path / "none.txt")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), name=st.sampled_from(["t.txt", "t.jsonl", "t.txt.gz"]))
def test_any_bytes_are_read_or_refused_in_words(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    complaint, texts = f"{tmp_path / name} ", ["none"]
    try:
        texts = read_records(tmp_path / name).texts
    except UserError as error:
        complaint = str(error)
    assert str(tmp_path / name) in complaint
    assert any(map(str.strip, texts))
    assert not any("\n" in text or "\0" in text for text in texts)
