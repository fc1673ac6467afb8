"""The champion: a name for the bundle that is released, and how it came to it.

    <store>/champions/<name>.jsonl     one decision a line; appended under a lock, never rewritten

There is no pointer beside the history that could contradict it: who is champion follows from the decisions, read from
the first to the last. A line counts once its newline is on the disk. What a killed process left behind the last newline
never happened; the next decision removes it.
"""

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import Field, ValidationError

from gdcore.artifacts import Ref, Store
from gdcore.durable import synced
from gdcore.errors import UserError
from gdcore.settings import Settings

FOLDER = "champions"
DEFAULT = "champion"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
RULE = "rule"
"""Who decided, where nobody did."""

Outcome = Literal["promoted", "approved", "rejected", "rolled back"]


class Ancestor(Settings):
    """What a run goes on from instead of chance: a model that was released."""

    run: str
    """The run that made it."""
    tokens: Ref
    """Its vocabulary."""
    weights: Ref
    """Its generator: the pretraining or the fine-tuning that was selected."""


class Decision(Settings):
    """One line of a champion's history: what was decided about a bundle, by whom, and on what evidence."""

    when: str
    """UTC, ISO 8601."""
    outcome: Outcome
    """`promoted` by the rule, `approved` by a person; either may have `rejected`; a person `rolled back`."""
    by: str
    """`rule`, or the person's name."""
    why: str
    """In words."""
    run: str
    """The run that made the bundle."""
    about: str
    """That run's preset, corpus and seed."""
    source: str = ""
    """The text it learnt from, as its settings name it; empty in histories from before this was recorded."""
    bundle: Ref
    """The export that was promoted, rejected or taken back."""
    beside: dict[str, Ref]
    """What judging it later needs: its run's corpus and evaluation, by stage."""
    own: Ancestor | None = None
    """What a later run may go on from; None in histories from before this was recorded."""
    ancestor: Ancestor | None = None
    """What it went on from itself; None where it began by chance."""
    against: Ref | None
    """The champion at that time."""
    judgement: Ref | None = None
    """Where the whole evidence lies in the store; None where nothing was judged."""
    evidence: dict[str, Any] = Field(default_factory=dict[str, Any])
    """Criterion, limits, protocol, what they were measured on: enough to understand the decision without the store."""

    @property
    def refs(self) -> list[Ref]:
        lines = [ref for each in (self.own, self.ancestor) if each for ref in (each.tokens, each.weights)]
        return [self.bundle, *self.beside.values(), *lines, *filter(None, [self.judgement])]


class Overtaken(RuntimeError):
    """Another process changed the champion since it was looked at: judge again."""


class Champion:
    """One named champion of a store; any number of processes may read and decide."""

    def __init__(self, store: Store, name: str = DEFAULT) -> None:
        """Raises UserError for a name that cannot be one."""
        if not NAME.fullmatch(name):
            raise UserError(
                f"{name!r} cannot be a champion's name: expected up to 40 of a to z, 0 to 9, - and _, "
                "beginning with a letter or digit"
            )
        self.store, self.name = store, name
        self.path = store.root / FOLDER / f"{name}.jsonl"

    def history(self) -> list[Decision]:
        """Every decision, oldest first. Raises UserError where the file was altered."""
        try:
            return self._read(self.path.read_bytes())[0]
        except FileNotFoundError:
            return []

    def current(self) -> Decision | None:
        """The decision by which the champion became it; None while there is none."""
        return (standing(self.history()) or [None])[-1]

    def bundle(self) -> Path:
        """The folder of the champion's bundle. Raises UserError where there is none, or it is not in the store."""
        if (decision := self.current()) is None:
            known = names(self.store)
            others = f"; there are {', '.join(known)}" if known else ": a finished run makes the first"
            raise UserError(f"{self.store.root} has no champion named {self.name!r}{others}.")
        folder = self.store.path(decision.bundle) / "bundle"
        if not folder.is_dir():
            raise UserError(
                f"the bundle of {self.name!r}, {decision.bundle.name} of run {decision.run}, is no longer in "
                f"{self.store.root}: start that run again with the same settings, or go back with "
                "`gdflow release --rollback`"
            )
        return folder

    def decide(self, decision: Decision) -> None:
        """Append a decision, durably. Raises Overtaken where the champion is not the one it was taken against."""
        with self._locked() as file:
            self._append(file, decision)

    def roll_back(self, by: str, why: str) -> Decision:
        """Take the champion back for the one before it. Raises UserError where that one is not there to be used."""
        with self._locked() as file:
            held = standing(self._read(_bytes(file))[0])
            if len(held) < 2:
                state = "is the first of its name" if held else "does not exist"
                raise UserError(f"the champion {self.name!r} {state}: there is nothing to go back to")
            fallen, before = held[-1], held[-2]
            if complaint := self.store.verify(before.bundle):
                raise UserError(
                    f"{before.bundle.name}, which {self.name!r} was before, cannot be used: {complaint}. "
                    f"Start run {before.run} again with the same settings to have it built anew."
                )
            told = {"when": now(), "outcome": "rolled back", "by": by, "why": why, "against": fallen.bundle}
            decision = fallen.model_copy(update=told | {"judgement": None, "evidence": {}})
            self._append(file, decision)
            return decision

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """The history, open for appending by one process at a time."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _append(self, file: BinaryIO, decision: Decision) -> None:
        decisions, whole = self._read(_bytes(file))
        held = standing(decisions)
        if (held[-1].bundle if held else None) != decision.against:
            raise Overtaken(f"{self.name!r} is no longer {decision.against.name if decision.against else 'vacant'}")
        file.truncate(whole)
        file.write(decision.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
        synced(self.path.parent)

    def _read(self, content: bytes) -> tuple[list[Decision], int]:
        """The decisions, and how many bytes they take; an unfinished one at the end is left out."""
        decisions: list[Decision] = []
        read = 0
        *lines, _ = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                decisions.append(Decision.model_validate_json(line))
            except ValidationError as error:
                if number == len(lines):  # a power cut may leave a length that its bytes never reached
                    break
                what = error.errors()[0]["msg"]
                raise UserError(
                    f"{self.path}, line {number}: no decision of this version of gdflow ({what}). The history of a "
                    "champion is only ever appended to: restore the file from a backup."
                ) from None
            read += len(line) + 1
        return decisions, read


def standing(decisions: Sequence[Decision]) -> list[Decision]:
    """The decisions that made champions and were not taken back; the last made the present one."""
    held: list[Decision] = []
    for decision in decisions:
        if decision.outcome in ("promoted", "approved"):
            held.append(decision)
        elif decision.outcome == "rolled back":
            held.pop()
    return held


def objection(decisions: Sequence[Decision], bundle: Ref) -> Decision | None:
    """The last word about these bytes, where it was a person's and against them: no rule promotes them after that."""
    about = [decision for decision in decisions if decision.bundle.content == bundle.content]
    last = about[-1] if about else None
    return last if last and last.by != RULE and last.outcome in ("rejected", "rolled back") else None


def names(store: Store) -> list[str]:
    """The champions there are, sorted."""
    return sorted(path.stem for path in store.root.glob(f"{FOLDER}/*.jsonl") if NAME.fullmatch(path.stem))


def references(store: Store) -> list[Ref]:
    """What the store must keep: every champion, the one that a rollback would bring back, and what both stand on."""
    held = [standing(Champion(store, name).history())[-2:] for name in names(store)]
    refs = {ref.name: ref for decisions in held for decision in decisions for ref in decision.refs}
    return list(refs.values())


def wearing(store: Store) -> dict[str, list[str]]:
    """Of each run that made a present champion, the champions' names."""
    found: dict[str, list[str]] = {}
    for name in names(store):
        if decision := Champion(store, name).current():
            found.setdefault(decision.run, []).append(name)
    return found


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _bytes(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()
