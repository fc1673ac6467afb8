"""What a store may forget: whatever neither the newest runs, nor a run in progress, nor a champion needs.

An artifact that is forgotten can be built again from the same text, settings and code, to the same content. Run folders
stay longer, with their report and log; only what they pointed to in the store is gone.
"""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gdcore import runs
from gdcore.artifacts import Store
from gdcore.release import champion
from gdcore.runs import Run

GRACE_SECONDS = 3600.0
"""What is younger stays: it may have been found or published by a stage that has not yet said so."""
STALE_SECONDS = 7 * 86400.0
"""An unfinished run, or a stage's checkpoints, untouched for so long is given up."""
KEEP_RUNS = 100
"""Run folders that stay, unless told otherwise."""


class Item(NamedTuple):
    """Something that may go."""

    name: str
    path: Path
    size: int


class Collected(NamedTuple):
    """What collecting took, or would take."""

    removed: list[Item]
    kept: int
    """Artifacts that stay."""

    @property
    def size(self) -> int:
        return sum(item.size for item in self.removed)


def collect(
    home: Path, keep: int, *, keep_runs: int = KEEP_RUNS, dry: bool = False, now: float | None = None
) -> Collected:
    """Remove what no champion, no run in progress and none of the `keep` newest finished runs needs.

    The folders of the `keep_runs` newest runs stay, and those that were touched within a week. Whatever another process
    is building or looking at (its lock says so) stays. `dry` only tells. Any number of processes may collect at once.
    """
    store, now = Store(home / "artifacts"), now or time.time()
    needed = needed_names(home, keep, now)
    published = store.all()
    garbage = [
        Item(each.ref.name, store.path(each.ref), each.size)
        for each in published
        if each.ref.name not in needed and now - each.created > GRACE_SECONDS
    ]
    left_over = list(_left_over(store, now))
    removed = [item for item in [*garbage, *left_over] if dry or store.forget(item.path)]
    old_runs = list(_old_runs(home, max(keep, keep_runs), now))
    if not dry:
        for item in old_runs:
            shutil.rmtree(item.path, ignore_errors=True)
        for run in runs.every(home):
            _drop_dead_links(run)
    taken = {item.name for item in removed}
    return Collected([*removed, *old_runs], sum(each.ref.name not in taken for each in published))


def needed_names(home: Path, keep: int, now: float) -> set[str]:
    """The names of the artifacts that must stay."""
    every = runs.every(home)
    finished = [run for run in every if run.result]
    active = [run for run in every if not run.result and now - _touched(run.folder) < STALE_SECONDS]
    by_runs = [line.ref for run in [*finished[:keep], *active] for line in run.refs.values()]
    return {ref.name for ref in [*by_runs, *champion.references(Store(home / "artifacts"))]}


def _old_runs(home: Path, keep: int, now: float) -> Iterator[Item]:
    """The folders of runs beyond the newest, untouched for a week; neither a champion's run nor the latest."""
    named = {(home / "runs" / "latest").resolve().name, *champion.wearing(Store(home / "artifacts"))}
    for run in runs.every(home)[keep:]:
        if run.name not in named and now - _touched(run.folder) > STALE_SECONDS:
            yield Item(f"runs/{run.name}", run.folder, _size(run.folder))


def usage(store: Store) -> dict[str, int]:
    """Bytes by kind of artifact; `checkpoints` are those of unfinished stages, `damaged` what was set aside."""
    hidden = {".work": "checkpoints", ".damaged": "damaged", ".drafts": "being built"}
    folders = [path for path in sorted(store.root.glob("*")) if path.is_dir() and path.name != ".locks"]
    sizes = {hidden.get(folder.name, folder.name): _size(folder) for folder in folders}
    return {name: size for name, size in sizes.items() if size}


def _left_over(store: Store, now: float) -> Iterator[Item]:
    """Checkpoints of stages that nobody has gone on with, and damaged artifacts that nobody has looked at."""
    for path in sorted([*store.root.glob(".work/*"), *store.root.glob(".damaged/*")]):
        if now - _touched(path) > STALE_SECONDS:
            yield Item(f"{path.parent.name[1:]}/{path.name}", path, _size(path))


def _touched(folder: Path) -> float:
    """When anything in a folder last changed."""
    return max((path.lstat().st_mtime for path in [folder, *folder.rglob("*")]), default=0.0)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def _drop_dead_links(run: Run) -> None:
    """A link that leads nowhere says less than none."""
    for path in run.folder.iterdir():
        if path.is_symlink() and not path.exists():
            os.unlink(path)
