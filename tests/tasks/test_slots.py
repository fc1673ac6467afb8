"""Trainings that queue: one of a corpus, so many in all; on a real Prefect server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client

from gdcore import runs
from gdcore.progress import Progress
from tasks import slots

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker runs it, and impatient."""
    monkeypatch.setenv("PREFECT__RUNTIME__DEPLOYMENT__ID", "any")
    monkeypatch.setattr(slots, "LOOK_SECONDS", 1.0)


def training(home: Path, corpus: str) -> Iterator[Progress]:
    """Three steps of a run on this corpus."""

    def make(out: Path, work: Path) -> Iterator[Progress]:
        for step in range(3):
            yield Progress(step + 1, 3, corpus)

    run = runs.start(home, "tiny", {"corpus": {"paths": [corpus], "prompt_column": None}})
    return slots.queued(run, make)(home, home)


def waits(progress: Progress) -> bool:
    return progress.note.startswith("waiting for a slot")


def until_begun(progresses: Iterator[Progress]) -> Progress:
    return next(progress for progress in progresses if not waits(progress))


def test_one_training_of_a_corpus_at_a_time(tmp_path: Path) -> None:
    slots.ensure(slots.TRAINING, 3)
    first, second, other = (training(tmp_path, f"/data/{name}.txt") for name in ("poems", "poems", "tales"))
    assert not waits(next(first))
    told = next(second)
    assert waits(told)
    assert "gdflow-training-poems-txt-" in told.note, "a person sees for what it waits"
    assert not waits(next(other)), "another corpus"
    assert waits(next(second))
    assert [progress.done for progress in first] == [2, 3]
    assert until_begun(second).done == 1
    second.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert until_begun(training(tmp_path, "/data/poems.txt")).done == 1, "stopped, it gives its slot back"


def test_so_many_trainings_in_all_and_a_limit_once_set_stays(tmp_path: Path) -> None:
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(slots.TRAINING, 1)
        slots.ensure(slots.TRAINING, 5)
        assert client.read_global_concurrency_limit_by_name(slots.TRAINING).limit == 1
    first, other = training(tmp_path, "/data/one.txt"), training(tmp_path, "/data/two.txt")
    assert not waits(until_begun(first))
    assert waits(next(other))
    assert len([*first]) == 2
    assert until_begun(other).done == 1
    other.close()  # pyright: ignore[reportAttributeAccessIssue]


def test_who_runs_it_by_hand_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT__RUNTIME__DEPLOYMENT__ID")
    first, second = (training(tmp_path, "/data/poems.txt") for _ in range(2))
    assert (next(first).done, next(second).done) == (1, 1)
