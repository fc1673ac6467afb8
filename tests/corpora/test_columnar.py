"""The reader of parquet: types, nulls, dictionaries, row numbers, and files that are not whole."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gdcore.corpora import columnar, opened
from gdcore.errors import UserError
from tests.corpora.corpus_case import build_bytes, train_texts

LINES = [f"line number {i} of them all" for i in range(3_000)]


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written, **options)
    return written.getvalue()


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_every_codec(tmp_path: Path, codec: str) -> None:
    data = parquet({"text": LINES, "id": range(3_000)}, compression=codec, row_group_size=700)
    built = build_bytes(tmp_path, data, ".parquet")
    assert train_texts(built) == LINES
    assert built.texts["train"]["line"].to_list() == list(range(1, 3_001))


def test_columns_and_nulls(tmp_path: Path) -> None:
    columns = {
        "a": ["one", None, "two", "three", "four", "five"],
        "q": ["x", "x", None, "y", " ", "z"],
        "k": pa.array([1, 2, 3, None, 5, 6]),
        "g": pa.array([True, True, True, True, True, None]),
        "other": pa.array([[1]] * 6),
    }
    options = {"text_column": "a", "prompt_column": "q", "label_column": "k", "group_column": "g"}
    built = build_bytes(tmp_path, parquet(columns), ".parquet", **options)
    assert built.texts["train"].select("text", "prompt", "label", "line").rows() == [("one", "x", "1", 1)]
    assert [(line, reason) for _, line, reason in built.quarantine] == [
        (2, "missing_text"),
        (3, "missing_prompt"),
        (4, "missing_label"),
        (5, "empty_prompt"),
        (6, "missing_group"),
    ]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(), pa.binary_view()]
)
def test_every_type_of_text(tmp_path: Path, kind: pa.DataType) -> None:
    texts = pa.array(["Größe", None, "猫", "Größe"]).cast(kind)
    built = build_bytes(tmp_path, parquet({"text": texts}), ".parquet")
    assert train_texts(built) == ["Größe", "猫"]
    assert built.summary["reasons"] == {"duplicate": 1, "missing_text": 1}


def test_dictionaries(tmp_path: Path) -> None:
    texts = pa.array([*LINES, None, *LINES]).dictionary_encode()
    classes = pa.array(["a", "b", None, *(["a"] * 5_998)]).dictionary_encode()
    built = build_bytes(tmp_path, parquet({"text": texts, "k": classes}), ".parquet", label_column="k")
    assert train_texts(built) == LINES[:2] + LINES[3:] + LINES[2:3]
    assert built.summary["reasons"] == {"duplicate": 2_999, "missing_label": 1, "missing_text": 1}


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    texts = pa.array([b"good", b"caf\xe9", None]).view(pa.string())  # a file may say string and mean nothing by it
    built = build_bytes(tmp_path, parquet({"text": texts}), ".parquet")
    assert train_texts(built) == ["good"]
    assert built.quarantine == [("caf\ufffd", 2, "invalid_bytes"), ("", 3, "missing_text")]


def test_a_text_of_megabytes_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columnar, "MAX_LINE", 600)
    built = build_bytes(tmp_path, parquet({"text": ["short", "x" * 700, "last"]}), ".parquet")
    assert train_texts(built) == ["short", "last"]
    assert built.quarantine == [("x" * 500, 2, "line_too_long")]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"body": ["x"]}, {}, "has no column 'text' for the text; its columns are: body"),
        ({"text": [1]}, {}, "the column 'text', for the text, holds int64; expected strings"),
        ({"text": [["x"]]}, {}, "holds list<element: string>; expected strings"),
        ({"text": ["x"], "k": [["x"]]}, {"label_column": "k"}, "expected strings, numbers or booleans"),
    ],
)
def test_columns_that_cannot_be_used(
    tmp_path: Path, columns: dict[str, Any], options: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build_bytes(tmp_path, parquet(columns), ".parquet", **options)


@pytest.mark.parametrize("size", [3, 4, 100, -1, -8, -100])
def test_a_file_that_is_cut(tmp_path: Path, size: int) -> None:
    with pytest.raises(UserError, match=r"data\.parquet is no whole parquet file: .*Fetch or write it again"):
        build_bytes(tmp_path, parquet({"text": LINES})[:size], ".parquet")


def test_a_damaged_page_ends_the_reading_and_is_told(tmp_path: Path) -> None:
    data = bytearray(parquet({"text": LINES}, row_group_size=1_000, compression="gzip", use_dictionary=False))
    middle = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(1).column(0)
    start = middle.data_page_offset
    data[start + 40 : start + 1_040] = b"\xff" * 1_000
    built = build_bytes(tmp_path, bytes(data), ".parquet")
    assert train_texts(built) == LINES[:1_000]
    ((record, line, reason),) = built.quarantine
    assert (line, reason) == (1_001, "damaged")
    assert record.startswith("rows 1001 to 3000: ")


def test_a_bomb_of_one_text_a_million_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), pa.array(["x" * 1_000_000]))
    data = parquet({"text": text})
    assert len(data) < 60_000
    monkeypatch.setattr(opened, "FREE", 8 << 20)
    with pytest.raises(UserError, match="unpacks to more than"):
        build_bytes(tmp_path, data, ".parquet")


def test_a_bomb_of_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "FREE", 8 << 20)
    with pytest.raises(UserError, match="unpacks to more than"):
        build_bytes(tmp_path, parquet({"text": ["x" * 50_000_000]}, compression="gzip"), ".parquet")


def test_packed_a_second_time(tmp_path: Path) -> None:
    data = gzip.compress(parquet({"text": LINES}))
    assert train_texts(build_bytes(tmp_path, data, ".parquet.gz")) == LINES
    with pytest.raises(UserError, match="is cut: it cannot be unpacked to its end"):
        build_bytes(tmp_path, data[:-20], ".parquet.gz")
    with pytest.raises(UserError, match="holds no parquet file once it is unpacked"):
        build_bytes(tmp_path, gzip.compress(b"words\n"), ".parquet.gz")


def test_no_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="usable texts is left for train"):
        build_bytes(tmp_path, parquet({"text": pa.array([], pa.string())}), ".parquet")
