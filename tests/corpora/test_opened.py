"""Packed files: bounded, kept up to where they are cut, and never changed under the reader without its being told."""

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest

from gdcore.corpora import opened as module
from gdcore.corpora.build import CorpusConfig, build_corpus, identity
from gdcore.corpora.opened import opened
from gdcore.errors import UserError
from tests.corpora.corpus_case import build_bytes, train_texts

LINES = [f"line number {i} of them all, whose square is {i * i}" for i in range(2_000)]
DATA = "".join(f"{line}\n" for line in LINES).encode()
PACK = {".gz": lambda data: gzip.compress(data, mtime=0), ".zst": lambda data: pa.compress(data, "zstd", asbytes=True)}
packed = pytest.mark.parametrize("suffix", PACK)


@packed
def test_packed_text_is_text(tmp_path: Path, suffix: str) -> None:
    pack = PACK[suffix]
    assert train_texts(build_bytes(tmp_path, pack(DATA), f".txt{suffix}")) == LINES
    two = pack(DATA[:5_000]) + pack(DATA[5_000:])  # one after the other, as log rotation leaves them
    assert train_texts(build_bytes(tmp_path, two, f".txt{suffix}")) == LINES
    built = build_bytes(tmp_path, pack(b'{"text": "one"}\n{"text": "two"}'), f".jsonl{suffix}")
    assert train_texts(built) == ["one", "two"]
    assert train_texts(build_bytes(tmp_path, pack(b"id,text\n1,one\n2,two\n"), f".csv{suffix}")) == ["one", "two"]


@packed
@pytest.mark.parametrize("share", [0.3, 0.8, 0.999])
def test_what_stands_before_a_cut_is_kept_and_the_cut_is_told(tmp_path: Path, suffix: str, share: float) -> None:
    lines = [f"line number {i} of very many, whose square is {i * i}" for i in range(10_000)]
    whole = PACK[suffix]("\n".join(lines).encode())
    built = build_bytes(tmp_path, whole[: int(len(whole) * share)], f".txt{suffix}")
    used = train_texts(built)
    assert used == lines[: len(used)]
    assert len(used) > (share - 0.3) * len(lines)  # zstd packs, and loses, 128 KiB at a time
    assert built.summary["reasons"] == {"cut": 1}
    ((record, line, reason),) = built.quarantine
    assert (line, reason) == (len(used) + 1, "cut")
    assert lines[len(used)].startswith(record)


def test_not_a_byte_before_a_cut_is_lost(tmp_path: Path) -> None:
    noise = os.urandom(300_000).hex().encode()  # packs to half its size, so that a cut at the end costs little
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(noise, mtime=0)[:-30])
    with opened(path) as file:
        read = b"".join(iter(lambda: file.read(1 << 16), b""))
        assert file.flaw == "cut"
    assert noise.startswith(read)
    assert len(read) > len(noise) - 100


@packed
@pytest.mark.parametrize("junk", [b"\0" * 100, b"some words", b"\x1f\x8b", b"PK\x03\x04"])
def test_what_follows_packed_data_is_told(tmp_path: Path, suffix: str, junk: bytes) -> None:
    built = build_bytes(tmp_path, PACK[suffix](DATA) + junk, f".txt{suffix}")
    assert train_texts(built) == LINES
    assert built.summary["quarantined"] == 1
    assert set(built.summary["reasons"]) <= {"cut", "damaged"}


def test_a_damaged_file_is_told_by_its_checksum(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(DATA, mtime=0))
    whole[-6] ^= 255
    built = build_bytes(tmp_path, bytes(whole), ".txt.gz")
    assert train_texts(built) == LINES
    assert built.summary["reasons"] == {"damaged": 1}


@packed
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"plain words\n", "is no .* data that can be read: it is damaged from its first byte on"),
        (b"PK\x03\x04" + b"x" * 100, "is no .* data that can be read"),
        (None, "is empty"),
        (b"\x1f\x8b\x08", "is no .* data that can be read"),
    ],
)
def test_what_is_not_packed_text(tmp_path: Path, suffix: str, content: bytes | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build_bytes(tmp_path, PACK[suffix](b"") if content is None else content, f".txt{suffix}")


@packed
def test_packed_twice(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UserError, match="holds gzip data"):
        build_bytes(tmp_path, PACK[suffix](gzip.compress(DATA)), f".txt{suffix}")


@packed
def test_a_bomb_is_refused(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FREE", 1 << 20)
    bomb = PACK[suffix](b"a line\n" + b"x" * (30 << 20))
    assert len(bomb) < 40_000
    with pytest.raises(UserError, match=r"unpacks to more than .* bytes after .* of its own"):
        build_bytes(tmp_path, bomb, f".txt{suffix}")
    assert list((tmp_path / "out").iterdir()) == []


def test_so_much_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNPACKED", len(DATA) - 1)
    with pytest.raises(UserError, match=r"unpacks to more than"):
        build_bytes(tmp_path, gzip.compress(DATA), ".txt.gz")
    assert train_texts(build_bytes(tmp_path, DATA)) == LINES  # what is not packed may be of any size


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gdcore.corpora.lines.BLOCK", 4_000)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(DATA if suffix == ".txt" else gzip.compress(DATA))
    config = CorpusConfig(paths=(str(path),))
    reading = build_corpus(config, tmp_path / "out")
    next(reading)
    with path.open("ab") as file:
        file.write(b"one line more\n")
    with pytest.raises(UserError, match=r"a\.txt.* changed while it was read: its .* bytes have become"):
        list(reading)
    assert list((tmp_path / "out").iterdir()) == []
    reading = build_corpus(config, tmp_path / "out")
    next(reading)
    os.utime(path, (0, 0))
    with pytest.raises(UserError, match="it was written to"):
        list(reading)


def test_a_file_that_has_changed_since_the_run_began(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(DATA)
    config = CorpusConfig(paths=(str(path),))
    known = identity(config)
    list(build_corpus(config, tmp_path / "out", known))
    path.write_bytes(DATA.replace(b"7", b"8"))
    with pytest.raises(UserError, match="its bytes are not those that it had when the run began"):
        list(build_corpus(config, tmp_path / "out", known))
