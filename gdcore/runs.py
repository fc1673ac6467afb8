"""The run folder: what one execution was given, what it used, what came of it.

    runs/<utc>_<preset>_<digest4>/   config.yaml refs.json result.json metrics.jsonl run.log report.html
                                     bundle → artifact
    runs/latest                      → the newest run that finished

Everything here points into the store or can be made again from it.
"""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import yaml

from gdcore.artifacts import Ref, Store, digest
from gdcore.durable import replace
from gdcore.errors import UserError
from gdcore.settings import Settings

STAMP = "%Y%m%dT%H%M%SZ"
Outcome = Literal["built", "reused"]


class Stage(Settings):
    """One line of `refs.json`: what a stage gave, and at what price."""

    ref: Ref
    state: Outcome
    seconds: float


class Run(Settings):
    """One execution: where it keeps its things. A plain value, so that a task on any process can record into it."""

    home: Path
    """Holds `artifacts/` and `runs/`."""
    name: str
    mirror: str = ""
    """Address of a store shared with other machines, if any (`gdcore.mirror`)."""

    @property
    def store(self) -> Store:
        return Store(self.home / "artifacts")

    @property
    def folder(self) -> Path:
        return self.home / "runs" / self.name

    @property
    def refs(self) -> dict[str, Stage]:
        """The stages that have finished, in the order in which they did."""
        found = _read_json(self.folder / "refs.json") or {}
        return {stage: Stage.model_validate(line) for stage, line in found.items()}

    @property
    def result(self) -> dict[str, Any] | None:
        """What the finished run returned; None while it has not, or where the file was damaged."""
        return _read_json(self.folder / "result.json")

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        return yaml.safe_load((self.folder / "config.yaml").read_text("utf-8"))

    def path(self, stage: str) -> Path:
        """The directory a stage of this run gave. Raises UserError when the run never came so far."""
        return self.store.path(self.ref(stage))

    def ref(self, stage: str) -> Ref:
        """What a stage of this run gave. Raises UserError when the run never came so far."""
        if (line := self.refs.get(stage)) is None:
            raise UserError(
                f"run {self.name} has no {stage}: it did not come so far. Start it again with the same settings: "
                "what it has built is reused."
            )
        return line.ref

    def record(self, stage: str, ref: Ref, state: Outcome, seconds: float) -> Stage:
        """Note what a stage gave."""
        line = Stage(ref=ref, state=state, seconds=round(seconds, 3))
        lines = {name: each.model_dump() for name, each in (self.refs | {stage: line}).items()}
        replace(self.folder / "refs.json", json.dumps(lines, indent=1))
        return line

    def log_metrics(self, stage: str, lines: Iterable[str]) -> None:
        """Append a stage's `metrics.jsonl` to the run's, each line saying whose it is."""
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps({"stage": stage} | json.loads(line)) + "\n" for line in lines)

    def link(self, name: str, target: Path) -> None:
        """Make `name` in the run folder point to something published."""
        _link(self.folder / name, target)

    def finish(self, result: Mapping[str, Any], latest: bool = True) -> None:
        """Keep what the run returned and, unless it has nothing to generate with, make it the latest."""
        replace(self.folder / "result.json", json.dumps(result, indent=1, ensure_ascii=False))
        if latest:
            _link(self.home / "runs" / "latest", self.folder)


def start(home: Path, preset: str, config: Mapping[str, Any]) -> Run:
    """Open a new run folder and write the resolved configuration into it."""
    runs = home.absolute() / "runs"
    label = f"{_stamp(runs)}_{preset}_{digest(config)[:4]}"
    for name in (label, *(f"{label}-{n}" for n in range(2, 1000))):
        run = Run(home=home.absolute(), name=name, mirror=config.get("mirror", ""))
        try:
            run.folder.mkdir(parents=True)
            replace(run.folder / "config.yaml", yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                f"no run can be started in {runs}: {error.strerror}. Give gdflow a writable folder with --home."
            ) from error
        return run
    raise AssertionError(f"a thousand runs started in one second: {label}")


def _stamp(runs: Path) -> str:
    """The time that a new run is named by: now, or just past the newest run's where the clock was set back."""
    newest = max(map(_begun, runs.glob("*_*")), default=datetime.min)
    return f"{max(datetime.now(UTC).replace(tzinfo=None), newest + timedelta(seconds=1)):{STAMP}}"


def _begun(folder: Path) -> datetime:
    """When a run began, by its name; before all others where the folder is no run's."""
    try:
        return datetime.strptime(folder.name.partition("_")[0], STAMP)
    except ValueError:
        return datetime.min


def find(home: Path, name: str = "latest") -> Run:
    """The run of this name (or the beginning of one, or its path). Raises UserError, naming those there are."""
    wanted = Path(name).name
    if wanted == "latest":
        wanted = (home / "runs" / "latest").resolve().name
    matches = [run for run in every(home) if run.name.startswith(wanted)]
    if exact := [run for run in matches if run.name == wanted]:
        return exact[0]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(run.name for run in (matches or every(home))[:5]) or "none yet: start one with `gdflow run`"
    raise UserError(f"{len(matches) or 'no'} runs of {home.absolute() / 'runs'} are named {name!r}; there are {known}.")


def every(home: Path) -> list[Run]:
    """All runs of a home, newest first."""
    folders = sorted((home.absolute() / "runs").glob("*/config.yaml"), reverse=True)
    return [Run(home=home.absolute(), name=path.parent.name) for path in folders if not path.parent.is_symlink()]


def _read_json(path: Path) -> Any:
    """What a file says; None where there is none, or a disk lost its bytes: what a run cannot show it has not done."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _link(path: Path, target: Path) -> None:
    """Point `path` to `target`, relatively (the home can move) and in one step."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    draft.symlink_to(os.path.relpath(target, path.parent))
    os.replace(draft, path)
