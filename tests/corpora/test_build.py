"""The whole stage: accounts, splits, determinism, and no input that makes it fall over."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdcore.corpora import lines
from gdcore.corpora.build import CorpusConfig, build_corpus
from tests.corpora.corpus_case import attempt, build


def write(path: Path, numbers: range) -> str:
    path.write_text("".join(f"line number {number}\n" for number in numbers))
    return str(path)


def test_given_train_and_test(tmp_path: Path) -> None:
    train, test = write(tmp_path / "train.txt", range(1_000)), write(tmp_path / "test.txt", range(990, 1_200))
    built = build(tmp_path / "out", train=(train,), test=(test,), valid_fraction=0.1)
    assert built.texts["test"]["text"].to_list() == [f"line number {number}" for number in range(990, 1_200)]
    assert built.summary["reasons"] == {"also_in_test": 10}
    assert 60 < len(built.texts["valid"]) < 140
    assert set(built.texts["valid"]["source"]) == {"train.txt"}
    assert built.summary["sources"] == 2


def test_schema_and_order(tmp_path: Path) -> None:
    built = build(tmp_path / "out", paths=(write(tmp_path / "a.txt", range(500)),))
    for frame in built.texts.values():
        assert frame.schema == {
            "text": pl.String,
            "prompt": pl.String,
            "label": pl.String,
            "source": pl.String,
            "line": pl.UInt32,
        }
        assert frame["line"].is_sorted()
    quarantine = pl.read_parquet(tmp_path / "out/quarantine.parquet")
    assert quarantine.schema == {"record": pl.String, "source": pl.String, "line": pl.UInt32, "reason": pl.String}
    assert set(built.summary) == {
        "read", "used", "quarantined", "reasons", "repaired", "pii", "splits",
        "segmentation", "segmentation_reason", "sources",
    }  # fmt: skip


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.txt", range(5_000))
    build(tmp_path / "one", paths=(path,))
    monkeypatch.setattr(lines, "BLOCK", 999)  # however it is read
    build(tmp_path / "two", paths=(path,))
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert names == ["quarantine.parquet", "summary.json", "test.parquet", "train.parquet", "valid.parquet"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_progress_counts_bytes_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.txt", range(5_000))
    monkeypatch.setattr(lines, "BLOCK", 9_999)
    reports = list(build_corpus(CorpusConfig(paths=(path,)), tmp_path / "out"))
    done = [report.done for report in reports]
    assert done == sorted(done)
    assert len(done) > 5
    assert done[-1] == reports[-1].total == Path(path).stat().st_size
    assert reports[-1].note == "5,000 texts read, 0 in quarantine"


def check_any_bytes(folder: Path, data: bytes, suffix: str) -> None:
    """Whatever the bytes: an account that adds up, or one paragraph of refusal and nothing on disk."""
    built = attempt(folder, data, suffix)
    if isinstance(built, str):
        out = folder / "out"
        assert "\n" not in built
        assert not out.exists() or not list(out.iterdir())
    else:
        assert all(text == " ".join(text.split()) for text in built.used)


dirty = st.one_of(
    st.binary(),
    st.lists(st.text(st.characters(exclude_categories=())), min_size=1).map(
        lambda parts: "\n".join(parts).encode("utf-8", "surrogatepass")
    ),
    st.lists(st.sampled_from([b"a b", b"\r", b"\n", b"\r\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b" "])).map(b"".join),
)
json_value = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "x"]), inner, max_size=2),
)
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SETTINGS
@given(data=dirty)
def test_any_text_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    check_any_bytes(tmp_path_factory.mktemp("any"), b"a good line\n" + data, ".txt")


@SETTINGS
@given(values=st.lists(json_value), noise=dirty)
def test_any_json_bytes(tmp_path_factory: pytest.TempPathFactory, values: list[object], noise: bytes) -> None:
    rows = [json.dumps({"text": value}) for value in values] + [json.dumps(value) for value in values]
    data = "\n".join(['{"text": "a good line"}', *rows, ""]).encode() + noise
    check_any_bytes(tmp_path_factory.mktemp("any"), data, ".jsonl")
