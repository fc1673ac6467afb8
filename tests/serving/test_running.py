"""The command, as a process: it says where it listens, finishes what it has begun, and starts again after any end."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from small_bundle import exported
from typer.testing import CliRunner

from flows.cli import app
from gdcore.artifacts import Ref, Store
from gdcore.release.champion import Champion, Decision, now
from gdcore.serving.keys import Keys
from gdcore.serving.session import Session


@pytest.fixture(scope="module")
def bundle() -> Path:
    return exported() / "bundle"


@contextmanager
def served(log: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict]]:
    """The command, when it is ready, and what it said.

    Its log goes to a file: a pipe that nobody reads is full after some hundred lines, and the server waits for ever.
    """
    command = [sys.executable, "-m", "flows.cli", "serve", "--json", *arguments]
    with (
        log.open("w") as written,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=written, text=True) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, log.read_text()
            yield process, json.loads(line)
        finally:
            process.kill()


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code == 2
    return done.stderr


def test_sigterm_finishes_what_runs_and_refuses_what_comes(bundle: Path, tmp_path: Path):
    with served(tmp_path / "log", "--bundle", f"small={bundle}", "--port", "0") as (process, told):
        assert told["models"] == ["small"]
        with httpx.Client(base_url=told["url"], timeout=60) as http:
            expected = Session(bundle).generate(128, seed=2)
            found: list[str] = []

            def ask() -> None:
                answer = httpx.post(f"{told['url']}/v1/completions", json={"n": 128, "seed": 2}, timeout=60)
                found.extend(choice["text"] for choice in answer.json()["choices"])

            asking = threading.Thread(target=ask)
            asking.start()
            while 'running{model="small"} 0.0' in http.get("/metrics").text and asking.is_alive():
                time.sleep(0.005)
            process.send_signal(signal.SIGTERM)
            late = http.post("/v1/completions", json={})
            assert late.status_code == 503
            assert late.json()["error"]["code"] == "draining"
            assert late.headers["retry-after"]
            assert http.get("/v2/health/ready").status_code == 503
            asking.join()
        assert found == expected
        assert process.wait(30) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert all({"when", "level", "what"} <= set(line) for line in lines)


@pytest.mark.slow
def test_killed_under_load_it_starts_again_on_its_port(bundle: Path, tmp_path: Path):
    with served(tmp_path / "log", "--bundle", str(bundle), "--port", "0") as (process, told):
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                try:
                    httpx.post(f"{told['url']}/v1/completions", json={"n": 8}, timeout=60)
                except httpx.TransportError:
                    time.sleep(0.05)

        askers = [threading.Thread(target=ask) for _ in range(8)]
        for each in askers:
            each.start()
        time.sleep(2)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
        with served(tmp_path / "log", "--bundle", str(bundle), "--port", told["url"].rpartition(":")[2]) as (_, again):
            assert again["url"] == told["url"]
            assert httpx.post(f"{again['url']}/v1/completions", json={"seed": 1}, timeout=60).status_code == 200
            over.set()
            for each in askers:
                each.join()


@pytest.mark.slow
def test_importing_a_session_takes_little():
    code = "import time; start = time.process_time(); import gdcore.serving.session\nprint(time.process_time() - start)"
    seconds = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(5)]
    assert min(seconds) < 0.3


def test_what_cannot_be_served(bundle: Path, tmp_path: Path):
    assert "is no bundle. Give one with --bundle" in refused("--bundle", str(tmp_path))
    assert "two bundles would be named" in refused("--bundle", f"a={bundle}", "--bundle", f"a={bundle}")
    assert "--name says which champion" in refused("--name", "news")
    assert "has no champion named" in refused("--champion", "--home", str(tmp_path))
    assert "slots: Input should be greater" in refused("--bundle", str(bundle), "--set", "slots=0")
    assert "no such key; did you mean slots?" in refused("--bundle", str(bundle), "--set", "slot=3")
    assert "expected a file of names and hashes" in refused("--bundle", str(bundle), "--keys", str(tmp_path / "none"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1, port {port}" in refused("--bundle", str(bundle), "--port", port)


def test_a_new_key():
    made = json.loads(CliRunner().invoke(app, ["serve", "--new-key", "newsroom", "--json"]).stdout)
    assert Keys(made["line"]).owner(made["key"]) == "newsroom"


@pytest.mark.slow
def test_it_follows_the_champion(bundle: Path, tmp_path: Path):
    """A decision is all it takes; whoever asks meanwhile is answered."""
    champion, refs = Champion(Store(tmp_path / "artifacts")), list[Ref]()
    for i, folder in enumerate([bundle, exported("crf") / "bundle"]):
        refs.append(Ref(kind="export", recipe=f"{i}" * 64, content=f"{i}" * 64))
        shutil.copytree(folder, champion.store.path(refs[-1]) / "bundle")
    decided = {"when": now(), "outcome": "approved", "by": "me", "why": "", "run": "r", "about": "", "beside": {}}
    champion.decide(Decision(**decided, bundle=refs[0], against=None))
    with served(tmp_path / "log", "--champion", "--home", str(tmp_path), "--port", "0") as (process, told):
        assert told["models"] == ["champion"]
        with httpx.Client(base_url=told["url"], timeout=60) as http:
            assert http.get("/v1/models/champion").json()["discriminator"] == "cnn"
            champion.decide(Decision(**decided, bundle=refs[1], against=refs[0]))
            end = time.monotonic() + 60
            while http.get("/v1/models/champion").json()["discriminator"] != "crf":
                assert http.post("/v1/completions", json={}).status_code == 200
                assert time.monotonic() < end
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
