"""Lines: encodings that a byte order mark tells, line ends, and sizes that would not fit."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdcore.corpora import lines
from gdcore.corpora.opened import opened
from gdcore.errors import UserError
from tests.corpora.corpus_case import build_bytes, train_texts

WIDE = {
    "utf-16-le": BOM_UTF16_LE,
    "utf-16-be": BOM_UTF16_BE,
    "utf-32-le": BOM_UTF32_LE,
    "utf-32-be": BOM_UTF32_BE,
}
TEXTS = ["plain words", "Größe und Höhe", "猫が座っている", "emoji 🎉 beyond the plane"]
wide = pytest.mark.parametrize("encoding", WIDE)


@wide
@pytest.mark.parametrize("block", [1, 7, 4 << 20])
def test_wide_encodings(tmp_path: Path, encoding: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", block)
    built = build_bytes(tmp_path, WIDE[encoding] + "\r\n".join(TEXTS).encode(encoding))
    assert train_texts(built) == TEXTS
    assert built.texts["train"]["line"].to_list() == [1, 2, 3, 4]
    assert built.summary["repaired"] == {"encoding": 4, "line_ending": 3}
    objects = "\n".join(f'{{"text": "{text}"}}' for text in TEXTS)
    assert train_texts(build_bytes(tmp_path, WIDE[encoding] + objects.encode(encoding), ".jsonl")) == TEXTS
    table = "\n".join(["text", *TEXTS])
    assert train_texts(build_bytes(tmp_path, WIDE[encoding] + table.encode(encoding), ".csv")) == TEXTS


@wide
def test_half_a_character_at_the_end(tmp_path: Path, encoding: str) -> None:
    data = WIDE[encoding] + "a good line\nand half".encode(encoding)[:-1]
    built = build_bytes(tmp_path, data)
    assert train_texts(built) == ["a good line"]
    assert built.quarantine == [("and hal\ufffd", 2, "invalid_bytes")]


def test_wide_text_without_a_mark_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds binary data"):
        build_bytes(tmp_path, ("plain words\n" * 50).encode("utf-16-le"))


@given(data=st.binary(), mark=st.sampled_from([*WIDE.values(), b"", b"\xef\xbb\xbf"]), block=st.integers(1, 9))
def test_blocks_do_not_matter(tmp_path_factory: pytest.TempPathFactory, data: bytes, mark: bytes, block: int) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_bytes(mark + data)

    def read() -> list[tuple[object, ...]]:
        with opened(path) as file:
            frames = [frame.drop("offset") for frame in lines.read_lines(file)]
        return [row for frame in frames for row in frame.select(sorted(frame.columns)).rows()]

    whole = read()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        assert read() == whole


def test_a_line_of_100_megabytes(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, b"a good line\n" + b"x" * 100_000_000 + b"\nanother\n")
    assert train_texts(built) == ["a good line", "another"]
    assert built.quarantine == [("x" * 500, 2, "line_too_long")]


def test_a_million_empty_lines(tmp_path: Path) -> None:
    built = build_bytes(tmp_path, b"a good line\n" + b"\n" * 1_000_000)
    assert built.summary["reasons"] == {"empty": 1_000_000}


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", ""])
def test_the_last_line_needs_no_end(tmp_path: Path, end: str) -> None:
    built = build_bytes(tmp_path, "one{}two{}".format(end or "\n", end).encode())
    assert train_texts(built) == ["one", "two"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_other_line_separators_end_no_line(tmp_path: Path, mark: str) -> None:
    built = build_bytes(tmp_path, f"one{mark}two\nthree\n".encode())
    assert train_texts(built) == ["one two" if mark != "\x1c" else "onetwo", "three"]


def test_more_lines_than_a_table_can_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINES", 3)
    assert len(train_texts(build_bytes(tmp_path, b"one\ntwo\n"))) == 2
    with pytest.raises(UserError, match="has more than 3 lines. Divide it into several files"):
        build_bytes(tmp_path, b"one\ntwo\nthree\nfour\n")
