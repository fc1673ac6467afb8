"""The champion's history: no instant of a kill may leave it in doubt who is champion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gdcore.artifacts import Ref, Store
from gdcore.errors import UserError
from gdcore.release.champion import RULE, Champion, Decision, Outcome, Overtaken, names, objection, references, wearing


def made(store: Store, label: str) -> Ref:
    """A published export whose bundle holds one file."""
    recipe = (label * 64)[:64]
    with store.lock("export", recipe), store.draft("export", recipe) as draft:
        (draft / "bundle").mkdir()
        (draft / "bundle" / "model").write_text(label)
        return store.publish(draft, "export", recipe)


def decision(bundle: Ref, against: Ref | None, outcome: Outcome = "promoted", by: str = RULE) -> Decision:
    beside = {"corpus": bundle.model_copy(update={"kind": "corpus"})}
    return Decision(
        when="2026-01-01T00:00:00+00:00",
        outcome=outcome,
        by=by,
        why="because",
        run=f"run-{bundle.recipe[0]}",
        about="tiny",
        bundle=bundle,
        beside=beside,
        against=against,
        evidence={"digits": 1},
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


def test_who_is_champion_follows_from_the_decisions(store: Store) -> None:
    champion = Champion(store)
    a, b, c = (made(store, label) for label in "abc")
    assert champion.current() is None
    assert champion.history() == []
    champion.decide(decision(a, None))
    champion.decide(decision(b, a, "rejected"))
    assert champion.current().bundle == a  # pyright: ignore[reportOptionalMemberAccess]
    champion.decide(decision(c, a, "approved", "Ada"))
    assert champion.bundle() == store.path(c) / "bundle"
    assert [each.outcome for each in Champion(store).history()] == ["promoted", "rejected", "approved"]
    assert wearing(store) == {"run-c": ["champion"]}
    fallen = champion.roll_back("Ada", "it swears")
    assert (fallen.bundle, fallen.outcome, fallen.why) == (c, "rolled back", "it swears")
    assert champion.bundle() == store.path(a) / "bundle"
    with pytest.raises(UserError, match="first of its name"):
        champion.roll_back("Ada", "")
    assert len(champion.history()) == 4, "what was refused is not written"


def test_a_champion_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(UserError, match="no champion named 'other'.*first"):
        Champion(store, "other").bundle()
    with pytest.raises(UserError, match="does not exist"):
        Champion(store).roll_back("Ada", "")
    with pytest.raises(UserError, match="cannot be a champion's name"):
        Champion(store, "../../etc")
    assert names(store) == ["champion"], "a failed rollback leaves an empty history, which means none"
    assert Champion(store).current() is None


def test_two_names_are_two_champions(store: Store) -> None:
    a, b = made(store, "a"), made(store, "b")
    Champion(store, "jokes").decide(decision(a, None))
    Champion(store, "news").decide(decision(b, None))
    assert names(store) == ["jokes", "news"]
    assert Champion(store, "jokes").bundle() != Champion(store, "news").bundle()
    assert store.complaints() == {}, "the store does not take the histories for artifacts"
    assert {each.ref for each in store.all()} == {a, b}


def test_a_decision_against_another_champion_comes_too_late(store: Store) -> None:
    a, b, c = (made(store, label) for label in "abc")
    champion = Champion(store)
    champion.decide(decision(a, None))
    champion.decide(decision(b, a))
    with pytest.raises(Overtaken):
        champion.decide(decision(c, a))
    assert champion.current().bundle == b  # pyright: ignore[reportOptionalMemberAccess]


def test_a_write_cut_at_any_byte_never_happened(store: Store) -> None:
    a, b, c = (made(store, label) for label in "abc")
    champion = Champion(store)
    champion.decide(decision(a, None))
    before = champion.path.read_bytes()
    champion.decide(decision(b, a))
    whole = champion.path.read_bytes()
    assert whole.startswith(before)
    for cut in range(len(before), len(whole)):
        champion.path.write_bytes(whole[:cut])
        assert champion.bundle() == store.path(a) / "bundle", cut
        assert len(champion.history()) == 1
    champion.path.write_bytes(whole)
    assert champion.bundle() == store.path(b) / "bundle"
    for torn in (whole[len(before) : -20], b"\0" * 50 + b"\n"):  # and a length that its bytes never reached
        champion.path.write_bytes(before + torn)
        champion.decide(decision(c, a))
        assert champion.bundle() == store.path(c) / "bundle"
        assert [each.bundle for each in champion.history()] == [a, c]
        assert champion.path.read_bytes().count(b"\n") == 2


def test_an_altered_line_is_found_and_nothing_goes_on_from_it(store: Store) -> None:
    a, b, c = (made(store, label) for label in "abc")
    champion = Champion(store)
    champion.decide(decision(a, None))
    champion.decide(decision(b, a))
    lines = champion.path.read_text().splitlines(keepends=True)
    champion.path.write_text(lines[0].replace("promoted", "crowned") + lines[1])
    for act in (champion.current, champion.bundle, lambda: champion.decide(decision(c, b))):
        with pytest.raises(UserError, match=r"champion\.jsonl, line 1"):
            act()


KILLED = """
import os, sys
from pathlib import Path
from gdcore.release import champion as module
from gdcore.artifacts import Store
from gdcore.release.champion import Champion, Decision

store, line, at = Store(sys.argv[1]), sys.argv[2], sys.argv[3]
if at == "before the write":
    module.Champion._read = lambda self, content, read=Champion._read: (read(self, content), os.kill(os.getpid(), 9))[0]
if at == "before the sync":
    module.os.fsync = lambda number: os.kill(os.getpid(), 9)
if at == "after the sync":
    module.synced = lambda path: os.kill(os.getpid(), 9)
Champion(store).decide(Decision.model_validate_json(line))
"""


@pytest.mark.parametrize(("at", "lines"), [("before the write", 1), ("before the sync", 2), ("after the sync", 2)])
def test_killed_on_the_way(store: Store, at: str, lines: int) -> None:
    """SIGKILL between the steps of a real process: the lock is free, and the history says one thing."""
    a, b, c = (made(store, label) for label in "abc")
    champion = Champion(store)
    champion.decide(decision(a, None))
    told = decision(b, a).model_dump_json()
    died = subprocess.run([sys.executable, "-c", KILLED, str(store.root), told, at], timeout=60, check=False)
    assert died.returncode == -9
    assert len(champion.history()) == lines
    present = {1: a, 2: b}[lines]
    assert champion.bundle() == store.path(present) / "bundle"
    champion.decide(decision(c, present))
    assert champion.bundle() == store.path(c) / "bundle"


RIVAL = """
import sys
from gdcore.artifacts import Store
from gdcore.release.champion import Champion, Decision, Overtaken

champion, decision = Champion(Store(sys.argv[1])), Decision.model_validate_json(sys.argv[2])
won = 0
while won < 25:
    present = champion.current()
    try:
        champion.decide(decision.model_copy(update={"against": present and present.bundle}))
        won += 1
    except Overtaken:
        pass
"""


def test_two_processes_decide_one_after_the_other_and_a_third_reads(store: Store) -> None:
    a, b = made(store, "a"), made(store, "b")
    champion = Champion(store)
    lines = [decision(each, None).model_dump_json() for each in (a, b)]
    rivals = [subprocess.Popen([sys.executable, "-c", RIVAL, str(store.root), line]) for line in lines]
    while any(rival.poll() is None for rival in rivals):
        champion.current()  # never raises: a reader sees whole decisions
    assert [rival.returncode for rival in rivals] == [0, 0]
    history = champion.history()
    assert len(history) == 50
    assert [each.against for each in history] == [None, *(each.bundle for each in history[:-1])]


def test_a_rollback_needs_a_bundle_to_go_back_to(store: Store) -> None:
    a, b = made(store, "a"), made(store, "b")
    champion = Champion(store)
    champion.decide(decision(a, None))
    champion.decide(decision(b, a))
    (store.path(a) / "bundle" / "model").write_text("other bytes")
    with pytest.raises(UserError, match="model has"):
        champion.roll_back("Ada", "")
    assert champion.bundle() == store.path(b) / "bundle"


def test_a_person_has_the_last_word_against_the_rule(store: Store) -> None:
    a, b = made(store, "a"), made(store, "b")
    champion = Champion(store)
    champion.decide(decision(a, None))
    champion.decide(decision(b, a))
    assert objection(champion.history(), b) is None
    champion.roll_back("Ada", "")
    assert objection(champion.history(), b).by == "Ada"  # pyright: ignore[reportOptionalMemberAccess]
    assert objection(champion.history(), a) is None
    champion.decide(decision(b, a, "approved", "Ada"))
    assert objection(champion.history(), b) is None


def test_what_the_store_must_keep(store: Store) -> None:
    a, b, c = (made(store, label) for label in "abc")
    champion = Champion(store)
    for one, other in ((a, None), (b, a), (c, b)):
        champion.decide(decision(one, other))
    kept = {ref.name for ref in references(store)}
    assert kept == {ref.name for each in (b, c) for ref in (each, each.model_copy(update={"kind": "corpus"}))}
    champion.roll_back("Ada", "")
    assert a.name in {ref.name for ref in references(store)}, "one could go back once more"


def test_a_decision_is_one_line_of_json(store: Store) -> None:
    champion = Champion(store)
    champion.decide(decision(made(store, "a"), None).model_copy(update={"why": "two\nlines"}))
    (line,) = champion.path.read_text().splitlines()
    assert json.loads(line)["why"] == "two\nlines"
    assert os.stat(champion.path).st_size == len(line.encode()) + 1
