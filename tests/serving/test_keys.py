"""API keys: asked for where there are any, known by their hashes alone; ids and log lines that betray nothing."""

import json
import logging
from collections.abc import Iterator

import pytest
from small_bundle import exported
from small_server import Running, serve

from gdcore.errors import UserError
from gdcore.serving.keys import Keys, new_key
from gdcore.serving.observing import JsonLines

KEY, LINE = new_key("newsroom")
OTHER, OTHER_LINE = new_key("b@x.org")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    keys = Keys(f"# ours\n{LINE}\n\n{OTHER_LINE}  # theirs\n")
    with serve({"small": exported() / "bundle"}, keys=keys, cors=["https://example.org"]) as running:
        yield running


def test_who_may_ask(running: Running):
    for path in ("/v1/models", "/metrics", "/v2", "/v2/models/small"):
        assert running.http.get(path).status_code == 401
        assert running.http.get(path, headers={"authorization": f"Bearer {KEY}"}).status_code == 200
    for path in ("/health", "/v2/health/live", "/v2/health/ready", "/openapi.json"):
        assert running.http.get(path).status_code == 200
    for wrong in ("", "Bearer", "Bearer x", f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {LINE.split()[1]}"):
        refused = running.http.post("/v1/completions", json={}, headers={"authorization": wrong})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.json()["error"]["code"] == "invalid_api_key"
    assert (
        running.http.post("/v1/completions", json={}, headers={"authorization": f"Bearer {OTHER}"}).status_code == 200
    )


def test_ids_and_log_lines(running: Running, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "gdflow.serve")
    headers = {"authorization": f"Bearer {KEY}", "x-request-id": "abc-1"}
    answer = running.http.post("/v1/completions", json={"prompt": "bal secret", "echo": True}, headers=headers)
    assert answer.headers["x-request-id"] == "abc-1"
    odd = running.http.get("/health", headers={"x-request-id": "a b"})
    assert len(odd.headers["x-request-id"]) == 32
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "gdflow.serve"]
    told = next(line for line in lines if line.get("id") == "abc-1")
    assert told["key"] == "newsroom"
    assert (told["path"], told["status"], told["model"], told["read"]) == ("/v1/completions", 200, "small", 2)
    assert told["wrote"] > 0
    assert not any("secret" in json.dumps(line) or KEY in json.dumps(line) for line in lines)


def test_cors_only_where_asked_for(running: Running):
    def allowed(origin: str) -> str | None:
        return running.http.get("/health", headers={"origin": origin}).headers.get("access-control-allow-origin")

    assert allowed("https://example.org") == "https://example.org"
    assert allowed("https://elsewhere.org") is None
    asked = {"origin": "https://example.org", "access-control-request-method": "POST"}
    assert running.http.options("/v1/completions", headers=asked).status_code == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("newsroom gdflow-abc", "keys.txt, entry 1: expected a name and the SHA-256"),
        (f"{LINE}\n{LINE}", "entry 2: there is already a key named 'newsroom'"),
        ("# nobody", "keys.txt holds no key"),
        (f"a b {'0' * 64}", "entry 1: expected"),
    ],
)
def test_files_that_are_none(text: str, message: str):
    with pytest.raises(UserError, match=message):
        Keys(text, "keys.txt")


def test_keys():
    keys = Keys(f"{LINE}, {OTHER_LINE}")
    assert (len(keys), keys.owner(KEY), keys.owner(OTHER), keys.owner("\ud800")) == (2, "newsroom", "b@x.org", None)
    assert len({new_key("a")[0] for _ in range(9)}) == 9
    with pytest.raises(UserError, match="cannot be a key's name"):
        new_key("a b")
