"""What a store forgets, and what it must not."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_run import set_clock

from gdcore import housekeeping, runs
from gdcore.artifacts import Ref, Store
from gdcore.housekeeping import collect, usage
from gdcore.release.champion import Champion, Decision, now
from gdcore.runs import Run

LATER = time.time() + 2 * housekeeping.GRACE_SECONDS


def artifact(store: Store, letter: str, kind: str = "export") -> Ref:
    with store.lock(kind, letter * 64), store.draft(kind, letter * 64) as draft:
        (draft / "x").write_text(letter * 10)
        return store.publish(draft, kind, letter * 64)


def run_with(home: Path, number: int, *refs: Ref, finished: bool = True) -> Run:
    run = runs.start(home, "tiny", {"number": number})
    later = run.folder.with_name(f"2026010{number}T000000Z_tiny_0000")
    run.folder.rename(later)
    run = Run(home=home, name=later.name)
    for ref in refs:
        run.record(ref.kind, ref, "built", 1.0)
    if finished:
        run.finish({"selected": "pretrained"}, latest=False)
    return run


def left(store: Store) -> set[str]:
    return {each.ref.recipe[0] for each in store.all()}


def test_newest_runs_unfinished_runs_and_champions_keep_what_they_use(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    old, shared, new, crowned, beside, working, orphan = (
        artifact(store, letter, "corpus" if letter in "be" else "export") for letter in "abcdefg"
    )
    oldest = run_with(tmp_path, 1, shared, old)
    oldest.link("bundle", store.path(old))
    run_with(tmp_path, 2, working, finished=False)
    run_with(tmp_path, 3, shared, new)
    decision = Decision(
        when=now(), outcome="promoted", by="rule", why="first", run="r", about="", bundle=crowned,
        beside={"corpus": beside}, against=None,
    )  # fmt: skip
    Champion(store).decide(decision)
    told = collect(tmp_path, 1, dry=True, now=LATER)
    assert left(store) == set("abcdefg"), "a dry run removes nothing"
    done = collect(tmp_path, 1, now=LATER)
    assert {item.name for item in done.removed} == {item.name for item in told.removed} == {old.name, orphan.name}
    assert left(store) == set("bcdef")
    assert (done.kept, done.size) == (5, 20)
    assert not (oldest.folder / "bundle").is_symlink()
    assert store.complaints() == {}
    assert not list(store.root.glob(".drafts/*"))
    assert artifact(store, "a") == old, "built again, it is the same"


def test_what_is_young_or_locked_stays(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    ref = artifact(store, "a")
    assert collect(tmp_path, 1).removed == [], "its run may not have said so yet"
    with store.lock(ref.kind, ref.recipe):
        assert collect(tmp_path, 1, now=LATER).removed == []
    assert [item.name for item in collect(tmp_path, 1, now=LATER).removed] == [ref.name]


def test_checkpoints_and_runs_that_nobody_goes_on_with_are_given_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    ref = artifact(store, "a")
    run_with(tmp_path, 1, ref, finished=False)
    work = store.work("pretraining", "b" * 64)
    (work / "state.json").write_text("12345")
    assert usage(store)["checkpoints"] == 5
    assert collect(tmp_path, 1, now=LATER).removed == []
    much_later = time.time() + 2 * housekeeping.STALE_SECONDS
    assert len(collect(tmp_path, 1, now=much_later).removed) == 2
    assert not work.exists()


def test_a_half_removed_artifact_is_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between the rename and the removal: nothing stands under its name, and the next run sweeps the rest."""
    store = Store(tmp_path / "artifacts")
    ref = artifact(store, "a")
    monkeypatch.setattr("gdcore.artifacts.shutil.rmtree", lambda *_, **__: os.listdir())
    collect(tmp_path, 1, now=LATER)
    monkeypatch.undo()
    assert store.find(ref.kind, ref.recipe) is None
    assert store.complaints() == {}
    assert list(store.root.glob(".drafts/*"))
    store.sweep()
    assert not list(store.root.glob(".drafts/*"))


def test_the_newest_run_keeps_what_it_uses_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "artifacts")
    kept = []
    for year, letter in (2026, "a"), (2025, "b"):
        set_clock(monkeypatch, datetime(year, 11, 28, tzinfo=UTC))
        run = runs.start(tmp_path, "tiny", {})
        run.record("export", artifact(store, letter), "built", 1.0)
        run.finish({"selected": "pretrained"}, latest=False)
        kept.append(run.name)
    assert [run.name for run in runs.every(tmp_path)] == kept[::-1]
    collect(tmp_path, 1, now=LATER)
    assert left(store) == {"b"}


def test_a_result_that_the_disk_lost_stops_nobody(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    run = run_with(tmp_path, 1, artifact(store, "a"))
    (run.folder / "result.json").write_bytes(b"")
    assert collect(tmp_path, 1, now=LATER).removed == [], "it is as if it were still in progress"


def test_old_run_folders_go_but_for_those_that_somebody_names(tmp_path: Path) -> None:
    store = Store(tmp_path / "artifacts")
    oldest, crowned, latest, unfinished, _, _ = every = [
        run_with(tmp_path, number, finished=number != 4) for number in range(1, 7)
    ]
    latest.finish({"selected": "pretrained"})
    decision = Decision(
        when=now(), outcome="promoted", by="rule", why="first", run=crowned.name, about="",
        bundle=artifact(store, "a"), beside={}, against=None,
    )  # fmt: skip
    Champion(store).decide(decision)
    much_later = time.time() + 2 * housekeeping.STALE_SECONDS
    names = [f"runs/{run.name}" for run in (unfinished, oldest)]
    assert collect(tmp_path, 1, keep_runs=2, now=LATER).removed == [], "within a week they stay"
    assert [item.name for item in collect(tmp_path, 1, keep_runs=2, dry=True, now=much_later).removed] == names
    assert [item.name for item in collect(tmp_path, 1, keep_runs=2, now=much_later).removed] == names
    assert {run.folder for run in every if run.folder.exists()} == {run.folder for run in every} - {
        oldest.folder,
        unfinished.folder,
    }
    assert collect(tmp_path, 3, keep_runs=2, now=much_later).removed == [], "never fewer than keep what they used"
