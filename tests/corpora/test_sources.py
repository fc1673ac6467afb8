"""What a user can point at, and what is said when it cannot be read."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import ValidationError

from gdcore.corpora.build import CorpusConfig, build_corpus, identity, source_files, source_versions
from gdcore.errors import UserError


def files(*patterns: str, **options: object) -> list[Path]:
    return source_files(CorpusConfig(paths=patterns, **options))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.txt", "a.txt", "deep/c.jsonl", "deep/notes.md", ".hidden/d.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('{"text": "x"}\n')
    (tmp_path / "empty.txt").touch()
    return tmp_path


def test_file_folder_and_glob(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = [folder / "a.txt", folder / "b.txt", folder / "deep/c.jsonl"]
    assert files(str(folder)) == everything
    assert files(str(folder / "*.txt")) == everything[:2]
    assert files(str(folder / "**/*")) == files(str(folder / "**")) == everything
    assert files(str(folder / "**.txt")) == everything[:2]
    assert files(str(folder / "b.txt"), str(folder)) == [everything[1], everything[0], everything[2]]  # each once
    monkeypatch.chdir(folder)
    assert files("deep/c.jsonl", "a.txt") == [everything[2], everything[0]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.txt", b"", "is empty"),
        ("table.parquet", b"a,b\n", "is no whole parquet file"),
        ("table.xls", b"a,b\n", "is not a kind of file that can be read: expected .txt, .jsonl, .csv, .parquet"),
        ("packed.txt", gzip.compress(b"words", mtime=0), "holds gzip data"),
        ("noise.txt", bytes(range(256)) * 100, "holds binary data"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} {message}"):
        files(str(tmp_path / name))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.txt does not exist"):
        files(str(tmp_path / "nowhere.txt"))
    with pytest.raises(
        UserError, match=r"no file with text in it: expected .txt, .jsonl, .* there is no file there at all"
    ):
        files(str(tmp_path))
    (tmp_path / "x.md").write_text("x")
    with pytest.raises(UserError, match=r"what is there: .md"):
        files(str(tmp_path / "*"))


def test_columns_of_plain_text(folder: Path) -> None:
    with pytest.raises(UserError, match="label_column names a column"):
        files(str(folder / "a.txt"), label_column="k")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"paths": ("a",), "docstrings": ("typer",)}, "give one source of text, not paths and docstrings"),
        ({"test": ("a",)}, "go with train files"),
        ({"valid_fraction": 0.5, "test_fraction": 0.5}, "must stay below 1"),
        ({"min_characters": 9, "max_characters": 8}, "is above max_characters 8"),
        ({"keep_duplicates": True}, "keep_duplicates would let one text stand on two sides"),
        ({"max_characters": -1}, "greater than or equal to 1"),
        ({"path": "a"}, "Extra inputs"),
    ],
)
def test_settings_that_contradict_each_other(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        CorpusConfig(**options)  # pyright: ignore[reportArgumentType]


def test_identity_is_what_the_corpus_is_made_of(tmp_path: Path) -> None:
    ids = []
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.txt").write_text("one\n")
        ids.append(identity(CorpusConfig(paths=(str(tmp_path / place / "a.txt"),))))
    assert ids[0] == ids[1]
    assert str(tmp_path) not in str(ids)
    (tmp_path / "there/a.txt").write_text("two\n")
    changed = identity(CorpusConfig(paths=(str(tmp_path / "there/a.txt"),)))
    assert changed != ids[0]
    assert identity(CorpusConfig(paths=(str(tmp_path / "here/a.txt"),), split_seed=1)) != ids[0]
    packages = identity(CorpusConfig(docstrings=("stdlib", "typer")))["packages"]
    assert packages == [list(item) for item in source_versions(CorpusConfig(docstrings=("stdlib", "typer"))).items()]
    assert identity(CorpusConfig(docstrings=("typer", "stdlib")))["packages"] == packages[::-1]


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('not json\n[]\n{"text": 5}\nnor this\n')
    config = CorpusConfig(paths=(str(path),))
    with pytest.raises(
        UserError, match=r"None of the 4 records .* invalid_json 2 times \(first: bad.jsonl:1 'not json'\)"
    ):
        list(build_corpus(config, tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []
    path.write_text('{"text": "just one"}\n')
    with pytest.raises(UserError, match="has 1 usable texts, and none of them falls in"):
        list(build_corpus(config, tmp_path / "out"))
    progress = build_corpus(CorpusConfig(docstrings=("typer",)), tmp_path / "out")
    next(progress)
    progress.close()  # pyright: ignore[reportAttributeAccessIssue]  # the caller gave up
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(UserError, match=r"pipe.txt is a FIFO, not a file"):
        files(str(tmp_path / "pipe.txt"))
    with pytest.raises(UserError, match=r"pipe.txt is a FIFO, not a file"):
        files(str(tmp_path))
    (tmp_path / "pipe.txt").unlink()
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"gone.txt is a link that leads nowhere"):
        files(str(tmp_path / "*.txt"))


def test_links_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "b.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    for pattern in ("a.txt", "", "*"):
        with pytest.raises(UserError, match=r"a.txt cannot be read: Too many levels of symbolic links"):
            files(str(tmp_path / pattern))


def test_a_circle_of_no_kind_that_is_read_is_passed_over(folder: Path) -> None:
    (folder / "notes").symlink_to(folder / "notes")
    assert len(files(str(folder))) == len(files(str(folder / "**"))) == 3


def test_folders_in_circles(folder: Path) -> None:
    for name in ("deep/up", "deep/up2", "deep/up3"):  # followed, they would lead to 3^40 places
        (folder / name).symlink_to(folder)
    everything = [folder / "a.txt", folder / "b.txt", folder / "deep/c.jsonl"]
    assert files(str(folder)) == everything
    assert files(str(folder / "**/*")) == everything


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt")
    with open(path, "wb") as file:
        file.write(b"one\ntwo\n" * 100)
    config = CorpusConfig(paths=(str(tmp_path),), keep_duplicates=True)
    assert identity(config)["files"][0][1] == "caf\ufffd.txt"
    with pytest.raises(UserError, match="none of them falls in"):
        list(build_corpus(config, tmp_path / "out"))
    with pytest.raises(UserError, match="File name too long"):
        files("x" * 5_000)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of somebody's who may not read everything, and is not root while the test runs."""
    with TemporaryDirectory() as name:
        os.chmod(name, 0o777)
        root = os.geteuid() == 0
        try:
            if root:
                os.seteuid(65_534)
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)


def test_without_permission(unprivileged: Path) -> None:
    locked = unprivileged / "locked"
    locked.mkdir()
    (locked / "a.txt").write_text("x\n")
    (unprivileged / "b.txt").write_text("x\n")
    (unprivileged / "b.txt").chmod(0)
    with pytest.raises(UserError, match="b.txt cannot be read: Permission denied"):
        files(str(unprivileged / "b.txt"))
    with pytest.raises(UserError, match="b.txt cannot be read: Permission denied"):
        files(str(unprivileged))
    (unprivileged / "b.txt").chmod(0o644)
    locked.chmod(0)
    for pattern in ("", "locked", "locked/a.txt"):  # a folder that cannot be looked into is not passed over
        with pytest.raises(UserError, match="locked.* cannot be read: Permission denied"):
            files(str(unprivileged / pattern))
    locked.chmod(0o755)
