"""What one machine has built the others fetch: whole, held to its digests, and not at all where it is not to be had."""

import json
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from small_run import run
from small_stack import eventually

from flows.up import free_port
from gdcore import runs
from gdcore.artifacts import Ref, Store
from gdcore.config import resolve
from gdcore.errors import UserError
from gdcore.mirror import Mirror
from gdcore.shards import Shards

RECIPE = "ab" * 32


def published(store: Store, content: bytes = b"words") -> Ref:
    with store.draft("corpus", RECIPE) as draft:
        (draft / "deep").mkdir()
        (draft / "a.txt").write_bytes(content)
        (draft / "deep" / "b.txt").write_bytes(content[::-1])
        return store.publish(draft, "corpus", RECIPE, {"told": 1})


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(f"file://{tmp_path}/mirror")


def test_what_is_shared_is_fetched_whole(here: Store, there: Store, mirror: Mirror) -> None:
    assert mirror.fetch(there, "corpus", RECIPE) is None
    ref = published(here)
    mirror.share(here, ref)
    assert mirror.fetch(there, "corpus", RECIPE) == ref == there.find("corpus", RECIPE)
    assert (there.path(ref) / "deep" / "b.txt").read_bytes() == b"sdrow"
    assert there.manifest(ref) == here.manifest(ref)
    assert there.complaints() == {}
    assert not list(there.root.glob(".drafts/*"))


def test_an_artifact_whose_manifest_has_not_come_yet_is_not_there(here: Store, there: Store, mirror: Mirror) -> None:
    ref = published(here)
    mirror.share(here, ref)
    manifest = Path(mirror.root) / ref.name / "manifest.json"
    whole = manifest.read_bytes()
    for part in (b"", whole[:100]):
        manifest.write_bytes(part)
        assert mirror.fetch(there, "corpus", RECIPE) is None
    mirror.share(here, ref)
    assert manifest.read_bytes() == whole, "half a manifest is written anew"


@pytest.mark.parametrize("name", ["a.txt", "manifest.json"])
def test_what_was_altered_is_left_aside(
    here: Store, there: Store, mirror: Mirror, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    ref = published(here)
    mirror.share(here, ref)
    path = Path(mirror.root) / ref.name / name
    path.write_bytes(path.read_bytes().replace(b"words", b"swore").replace(b'"told": 1', b'"told": 2'))
    if name == "manifest.json":
        altered = json.loads(path.read_text())
        altered["files"]["../../escaped.txt"] = altered["files"]["a.txt"]
        path.write_text(json.dumps(altered))
    with caplog.at_level(logging.WARNING):
        assert mirror.fetch(there, "corpus", RECIPE) is None
    assert "is not what it should be" in caplog.text
    assert there.all() == []
    assert not list(there.root.parent.rglob("escaped.txt"))


@pytest.mark.parametrize("address", ["no-such-kind://bucket/folder", "file:///proc/nowhere"])
def test_an_address_that_cannot_be_used_is_told(address: str) -> None:
    with pytest.raises(UserError, match=f"mirror: {address} cannot be used"):
        Mirror(address)


def test_an_address_holds_no_password() -> None:
    with pytest.raises(UserError, match="mirror: an address with a name or a password"):
        resolve({}, {"mirror": "s3://key:secret@bucket/folder"})


@pytest.mark.slow
def test_a_second_machine_builds_nothing(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    address = f"file://{tmp_path}/mirror"
    run(_made(one), mirror=address)
    shutil.copyfile(one / "texts.txt", _made(other) / "texts.txt")
    run(other, mirror=address)
    fetched = runs.find(other)
    assert {stage: line.state for stage, line in fetched.refs.items()}.keys() >= {"corpus", "export"}
    assert {line.state for line in fetched.refs.values()} == {"reused"}
    assert [line.ref for line in fetched.refs.values()] == [line.ref for line in runs.find(one).refs.values()]


@pytest.mark.slow
def test_a_copy_that_fails_is_told_and_costs_nothing_else(tmp_path: Path) -> None:
    (_made(tmp_path / "mirror") / "corpus").write_text("not a folder")
    run(tmp_path, mirror=f"file://{tmp_path}/mirror")
    (done,) = runs.every(tmp_path)
    assert (done.folder / "bundle").exists()
    assert "was not copied to" in (done.folder / "run.log").read_text()
    assert not (tmp_path / "mirror" / "corpus").is_dir()
    assert (tmp_path / "mirror" / "tokens").is_dir()


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A folder in a bucket of a server that speaks S3."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "correct-horse",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            eventually(lambda: _answers(endpoint), 60)
            httpx.put(f"{endpoint}/bucket").raise_for_status()
            yield "s3://bucket/store"
        finally:
            server.terminate()


def _answers(endpoint: str) -> bool:
    try:
        return httpx.get(endpoint).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_many_readers_at_once_from_an_object_store(bucket: str, tmp_path: Path) -> None:
    """Eight homes fetch one token set at the same time, map it, and read the same ids; nothing secret is written."""
    one = tmp_path / "one"
    run(_made(one), mirror=bucket)
    ref = runs.find(one).ref("tokens")
    rows = Shards.open(runs.find(one).path("tokens"), "train").rows(range(20))[0]
    gate = threading.Barrier(8)

    def read(n: int) -> bool:
        store, mirror = Store(tmp_path / f"reader{n}"), Mirror(bucket)
        gate.wait()
        assert mirror.fetch(store, "tokens", ref.recipe) == ref
        return bool((Shards.open(store.path(ref), "train").rows(range(20))[0] == rows).all())

    with ThreadPoolExecutor(8) as readers:
        assert all(readers.map(read, range(8)))
    for path in one.rglob("*"):
        if path.is_file() and path.suffix in (".yaml", ".json", ".log", ".jsonl", ".html"):
            assert "correct-horse" not in path.read_text(errors="replace"), path
