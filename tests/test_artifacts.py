"""The store: whole or absent, whoever is killed, whoever races, whatever is altered."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gdcore import artifacts, sources
from gdcore.artifacts import Ref, Store, digest, recipe
from gdcore.sources import source_digest, source_modules

R = recipe("corpus", {"a": 1}, {}, "s")


def build(store: Store, text: str = "hello", kind: str = "corpus", recipe: str = R) -> Ref:
    with store.lock(kind, recipe), store.draft(kind, recipe) as draft:
        (draft / "sub").mkdir()
        (draft / "sub" / "a.txt").write_text(text)
        (draft / "b.bin").write_bytes(b"\0" * 1000)
        return store.publish(draft, kind, recipe, {"why": "test"})


def leftovers(store: Store) -> list[str]:
    return [path.name for place in (".drafts", ".work") for path in store.root.glob(f"{place}/*")]


def test_what_is_published_is_found_and_verifies(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.find("corpus", R) is None
    ref = build(store)
    assert store.find("corpus", R) == ref
    assert (store.path(ref) / "sub" / "a.txt").read_text() == "hello"
    assert store.manifest(ref).about == {"why": "test"}
    assert store.manifest(ref).size == 1005
    assert [each.ref for each in store.all()] == [ref]
    assert store.verify(ref) is None
    assert store.complaints() == {}
    assert leftovers(store) == []


def test_content_follows_the_bytes_and_recipe_everything_that_decides_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    other = recipe("corpus", {"a": 2}, {}, "s")
    assert build(store).content == build(store, recipe=other).content
    assert build(Store(tmp_path / "2"), text="HELLO").content != store.all()[0].content
    recipes = [
        R,
        other,
        recipe("tokens", {"a": 1}, {}, "s"),
        recipe("corpus", {"a": 1}, {"x": "1"}, "s"),
        recipe("corpus", {"a": 1}, {}, "t"),
    ]
    assert len(set(recipes)) == 5
    assert digest({"b": 1, "a": "é"}) == digest({"a": "é", "b": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"rate": float("nan")})


def test_folders_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    store = Store(tmp_path / "store")
    assert store.path(build(store)).stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("damage", ["truncate", "flip", "delete", "manifest", "no manifest", "swap"])
def test_an_altered_artifact_is_moved_aside_and_built_again(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    ref = build(store)
    folder = store.path(ref)
    match damage:
        case "truncate":
            os.truncate(folder / "b.bin", 10)
        case "flip":
            (folder / "b.bin").write_bytes(b"\1" * 1000)
        case "delete":
            (folder / "sub" / "a.txt").unlink()
        case "manifest":
            os.truncate(folder / "manifest.json", 30)
        case "no manifest":
            (folder / "manifest.json").unlink()
        case "swap":
            shutil.copytree(store.path(build(store, "x", "tokens")), folder, dirs_exist_ok=True)
    assert store.complaints().keys() == {ref.name}
    assert store.find("corpus", R) is None
    assert len(list(tmp_path.glob(".damaged/*"))) == 1
    assert build(store) == ref
    assert store.find("corpus", R) == ref


def test_bytes_that_rot_under_an_unchanged_date_are_found_by_verify(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ref = build(store)
    path = store.path(ref) / "b.bin"
    stat = path.stat()
    path.write_bytes(b"\1" * 1000)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.verify(ref) == "b.bin has other bytes than were published"


def test_a_copied_store_with_new_dates_is_as_good(tmp_path: Path) -> None:
    ref = build(Store(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    assert Store(tmp_path / "b").find("corpus", R) == ref


def test_a_manifest_cannot_point_outside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ref = build(store)
    (store.root / "secret").write_text("hello")
    manifest = store.manifest(ref)
    files = {"../../secret": manifest.files["sub/a.txt"]}
    content = digest({name: file.sha256 for name, file in files.items()})
    forged = manifest.model_copy(update={"files": files, "content": content})
    (store.path(ref) / "manifest.json").write_text(forged.model_dump_json())
    assert store.verify(ref) == "manifest.json points outside: ../../secret"


def test_the_rival_who_published_first_stands(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.draft("corpus", R) as draft:
        (draft / "mine.txt").write_text("late")
        rival = build(store)
        assert store.publish(draft, "corpus", R) == rival
    assert not (store.path(rival) / "mine.txt").exists()
    assert leftovers(store) == []


def test_a_failed_build_leaves_the_work_but_no_draft(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError), store.lock("corpus", R), store.draft("corpus", R) as draft:
        (draft / "half").write_text("h")
        (store.work("corpus", R) / "step-7").write_text("w")
        _ = 1 / 0
    assert leftovers(store) == [f"corpus-{R[:16]}"]
    assert (store.work("corpus", R) / "step-7").read_text() == "w"
    build(store)
    assert leftovers(store) == []


def _build_slowly(root: Path) -> None:
    """What two processes do with one recipe: find it or build it."""
    store = Store(root)
    with store.lock("corpus", R):
        if store.find("corpus", R) is None:
            with (root / "builds").open("a") as log:
                log.write("x")
            time.sleep(0.3)
            with store.draft("corpus", R) as draft:
                (draft / "a").write_text("a")
                store.publish(draft, "corpus", R)


def test_two_processes_on_one_recipe_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    rivals = [context.Process(target=_build_slowly, args=(tmp_path,)) for _ in range(3)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(30)
    assert [rival.exitcode for rival in rivals] == [0, 0, 0]
    assert (tmp_path / "builds").read_text() == "x"
    assert Store(tmp_path).find("corpus", R)


KILLED = """
    import sys, time
    from pathlib import Path
    from gdcore.artifacts import Store
    store, recipe = Store(sys.argv[1]), sys.argv[2]
    with store.lock("corpus", recipe), store.draft("corpus", recipe) as draft:
        (store.work("corpus", recipe) / "step-100").write_text("")
        (draft / "half").write_text("h")
        print("building", flush=True)
        time.sleep(60)
"""


def test_a_killed_builder_frees_the_lock_and_leaves_its_checkpoints(tmp_path: Path) -> None:
    store = Store(tmp_path)
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), R]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout
        assert victim.stdout.readline() == "building\n"
        store.sweep()
        assert len(leftovers(store)) == 2, "a living builder's draft stays"
        victim.send_signal(signal.SIGKILL)
    assert store.find("corpus", R) is None
    assert (store.work("corpus", R) / "step-100").exists()
    store.sweep()
    assert leftovers(store) == [f"corpus-{R[:16]}"]
    build(store)
    assert leftovers(store) == []


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written.*--home"):
        build(Store(tmp_path / "file" / "artifacts"))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "gdcore/__init__.py": "",
        "gdcore/train.py": "import math\nfrom gdcore import loss\nfrom gdcore.deep.inner import f",
        "gdcore/loss.py": "def g():\n    from .late import h",
        "gdcore/late.py": "import gdcore.train",
        "gdcore/unused.py": "",
        "gdcore/deep/__init__.py": "",
        "gdcore/deep/inner.py": "from . import sibling\nfrom ..loss import g",
        "gdcore/deep/sibling.py": "",
        "gdcore/objectives/__init__.py": "",
        "gdcore/objectives/gad.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return tmp_path


def test_sources_are_found_transitively(tree: Path) -> None:
    deep = ["gdcore", "gdcore.deep", "gdcore.deep.inner", "gdcore.deep.sibling"]
    assert source_modules(["gdcore.train"]) == [*deep, "gdcore.late", "gdcore.loss", "gdcore.train"]


def test_the_digest_follows_what_is_used_and_nothing_else(tree: Path) -> None:
    def digests() -> tuple[str, str]:
        return (
            source_digest(["gdcore.train"]),
            source_digest(["gdcore.train", "gdcore.objectives.gad"]),
        )

    def after(name: str, text: str) -> list[bool]:
        before = digests()
        (tree / name).write_text(text)
        return [a == b for a, b in zip(before, digests(), strict=True)]

    assert after("gdcore/unused.py", "x = 1") == [True, True]
    assert after("gdcore/objectives/gad.py", "x = 1") == [True, False]
    assert after("gdcore/deep/sibling.py", "x = 1") == [False, False]


def test_a_misspelt_source_is_refused(tree: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="gdcore.trane"):
        source_digest(["gdcore.trane"])


def test_checkpoints_of_what_was_published_by_a_process_that_died_then_are_swept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    build(store)
    done, going_on = store.work("corpus", R), store.work("pretraining", R)
    store.sweep()
    assert (done.exists(), going_on.exists()) == (False, True)


def test_what_another_version_laid_out_is_set_aside_and_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    ref = build(store)
    monkeypatch.setattr(artifacts, "SCHEMA", artifacts.SCHEMA + 1)
    told = f"manifest.json has schema {artifacts.SCHEMA - 1}, this version of gdflow reads {artifacts.SCHEMA}"
    assert store.complaints() == {ref.name: told}
    assert store.find("corpus", R) is None
    (aside,) = store.root.glob(".damaged/*")
    assert (aside / "sub" / "a.txt").read_text() == "hello", "nothing of it is lost"
    assert build(store) == ref, "the same content, laid out anew"
    assert store.complaints() == {}
    monkeypatch.undo()
    assert store.find("corpus", R) is None, "an older version does likewise"
