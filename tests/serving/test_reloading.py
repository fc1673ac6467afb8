"""A server follows its champion: every request is answered by the old bundle or by the new one, none is dropped."""

import threading
import time
from pathlib import Path

import pytest
from small_bundle import exported
from small_server import serve

from gdcore.errors import UserError
from gdcore.serving import app, reloading
from gdcore.serving.session import Session


def test_it_goes_over_without_dropping_a_request(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(app, "follow", lambda *given: reloading.follow(*given, seconds=0.05))
    old, new = exported() / "bundle", exported("crf") / "bundle"
    present: dict[str, Path | None] = {"bundle": old}

    def where() -> Path:
        if present["bundle"] is None:
            raise UserError("the champion's bundle is no longer in the store")
        return present["bundle"]

    statuses: list[int] = []
    with serve({"champion": old}, followed={"champion": where}) as running:

        def ask() -> None:
            while not over.is_set():
                statuses.append(running.http.post("/v1/completions", json={"n": 4}).status_code)

        def discriminator() -> str:
            return running.http.get("/v1/models/champion").json()["discriminator"]

        over = threading.Event()
        askers = [threading.Thread(target=ask) for _ in range(4)]
        for each in askers:
            each.start()
        for bundle, name in ((new, "crf"), (None, "crf"), (old, "cnn"), (new, "crf"), (old, "cnn")):
            present["bundle"] = bundle
            end = time.monotonic() + 30
            time.sleep(0.3)
            while discriminator() != name and time.monotonic() < end:
                time.sleep(0.05)
            assert discriminator() == name
        over.set()
        for each in askers:
            each.join()
        figures = running.http.get("/metrics").text
        assert running.texts(seed=3) == Session(old).generate(seed=3)
    assert set(statuses) == {200}
    assert 'gdflow_reloads_total{model="champion",outcome="taken in"} 4.0' in figures
    assert [r.getMessage() for r in caplog.records].count("a bundle cannot be used; the one before it stays") == 1
    batchers = [thread for thread in threading.enumerate() if thread.name == "batcher"]
    assert not batchers
