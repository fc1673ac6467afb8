"""Run folders: their order whatever the clock does, and what a power cut leaves of them."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from small_run import set_clock

from gdcore import runs


def test_a_later_run_is_newer_though_the_clock_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs" / "20269999T000000Z_not_a_run").mkdir(parents=True)
    set_clock(monkeypatch, datetime(2026, 11, 28, tzinfo=UTC))
    first = runs.start(tmp_path, "tiny", {})
    set_clock(monkeypatch, datetime(2025, 11, 28, tzinfo=UTC))
    second = runs.start(tmp_path, "coco", {})
    third = runs.start(tmp_path, "default", {})
    assert [run.name for run in runs.every(tmp_path)] == [third.name, second.name, first.name]
    set_clock(monkeypatch, datetime(2027, 11, 28, tzinfo=UTC))
    assert runs.start(tmp_path, "tiny", {}).name.startswith("20271128T000000Z_tiny_")


@pytest.mark.parametrize("left", [b"", b"\0\0\0\0", b'{"selected": "pretr', b"\xff\xfe"], ids=repr)
def test_a_result_that_the_disk_lost_is_that_of_an_unfinished_run(tmp_path: Path, left: bytes) -> None:
    run = runs.start(tmp_path, "tiny", {})
    run.finish({"selected": "pretrained"})
    (run.folder / "result.json").write_bytes(left)
    (run.folder / "refs.json").write_bytes(left)
    assert run.result is None
    assert run.refs == {}


def test_bytes_are_on_the_disk_before_their_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = runs.start(tmp_path, "tiny", {})
    done: list[tuple[str, str]] = []

    def noted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(what: Any, *others: Any) -> Any:
            path = os.readlink(f"/proc/self/fd/{what}") if isinstance(what, int) else what
            done.append((name, Path(path).name))
            return call(what, *others)

        return wrapped

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name, getattr(os, name)))
    run.finish({"selected": "pretrained"}, latest=False)
    (synced, draft), (replaced, same), (entry, folder) = done
    assert (synced, replaced, entry) == ("fsync", "replace", "fsync")
    assert draft == same
    assert draft.startswith(".result.json-")
    assert folder == run.name
