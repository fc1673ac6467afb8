"""What a client cannot take: more than its share, the server's time by silence, slots that it no longer wants."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import httpx
import pytest
from small_bundle import exported
from small_server import Limits, Running, serve

from gdcore.serving.stepping import Stepper

Connect = Callable[[], socket.socket]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    limits = Limits(slots=2, queue=4, texts=6, deadline=0.7, body_bytes=2048, body_seconds=0.5)
    with serve({"small": exported() / "bundle"}, limits) as running:
        yield running


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes its time."""
    stepped = Stepper.__call__

    def slowly(self: Stepper, *states, **inputs):
        time.sleep(0.1)
        return stepped(self, *states, **inputs)

    monkeypatch.setattr(Stepper, "__call__", slowly)


@pytest.fixture
def connected(running: Running) -> Iterator[Callable[[], socket.socket]]:
    """Makes connections, which end with the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=20))


def request(body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    head = "POST /v1/completions HTTP/1.1", "host: x", "content-type: application/json", f"content-length: {length}"
    return "\r\n".join([*head, "", ""]).encode() + body


def everything(connection: socket.socket) -> bytes:
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def test_who_finds_the_queue_full_is_told_when_to_come_again(running: Running, slow: None):
    asked = {"n": 6, "stream": True, "temperature": 0}
    with running.http.stream("POST", "/v1/completions", json=asked) as first:
        next(first.iter_lines())
        busy = running.http.post("/v1/completions", json={"n": 5})
        assert busy.status_code == 429
        assert 1 <= int(busy.headers["retry-after"]) <= 30
        assert busy.json()["error"]["type"] == "rate_limit_error"
    # The client has left in the middle: its slots and its places in the queue are free again.
    assert running.idle()
    assert running.http.post("/v1/completions", json={"max_tokens": 1}).status_code == 200


def test_what_the_queue_can_never_hold_is_not_to_be_tried_again():
    limits = Limits(slots=2, queue=1, texts=8)
    with serve({"small": exported() / "bundle"}, limits) as running:
        assert running.http.post("/v1/completions", json={"n": 3, "max_tokens": 1}).status_code == 200
        refused = running.http.post("/v1/completions", json={"n": 4, "max_tokens": 1})
        assert (refused.status_code, "at most 3 may be" in refused.text) == (400, True)


def test_a_client_that_leaves_frees_its_slots(running: Running, slow: None, connected: Connect):
    connection = connected()
    connection.sendall(request(json.dumps({"n": 6, "temperature": 0}).encode()))
    (model,) = running.serving.models
    end = time.monotonic() + 10
    while not model.batcher.running and time.monotonic() < end:
        time.sleep(0.01)
    assert model.batcher.running
    connection.close()
    assert running.idle()


def test_deadline(running: Running, slow: None):
    late = running.http.post("/v1/completions", json={"n": 2, "temperature": 0})
    assert late.status_code == 504
    assert "longer than 0.7 seconds, the server's deadline" in late.json()["error"]["message"]
    with running.http.stream("POST", "/v1/completions", json={"temperature": 0, "stream": True}) as streamed:
        lines = [line for line in streamed.iter_lines() if line]
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "deadline"
    assert running.idle()


def test_bodies_too_large(running: Running, connected: Connect):
    large = running.http.post("/v1/completions", json={"prompt": "bal " * 1000})
    assert large.status_code == 413
    assert "larger than 2,048 bytes" in large.json()["error"]["message"]

    def chunks() -> Iterator[bytes]:
        for _ in range(10):
            yield b" " * 1000

    undeclared = running.http.post("/v1/completions", content=chunks())
    assert undeclared.status_code == 413
    connection = connected()
    connection.sendall(request(b"", length=10**18))
    assert b" 413 " in everything(connection)
    connection = connected()
    connection.sendall(request(b"", length=10**30))
    assert b" 400 " in everything(connection)


def test_slow_and_broken_connections(running: Running, connected: Connect):
    """Slow heads, slow bodies, silence, half-closed sockets, noise: each ends, and the server goes on."""
    silent, head, body, drip, dripping_body = (connected() for _ in range(5))
    head.sendall(b"POST /v1/completions HTTP/1.1\r\nhost: x\r\nx-a: b\r\n")
    body.sendall(request(b'{"n"', length=100))
    drip.sendall(b"GET /health HTTP/1.1\r\n")
    dripping_body.sendall(request(b'{"n"', length=100))
    for i in range(12):  # a byte now and then buys no time
        time.sleep(0.1)
        for connection, drop in ((drip, b"x-%d: y\r\n" % i), (dripping_body, b" ")):
            with suppress(OSError):
                connection.sendall(drop)
    assert everything(silent) == everything(head) == everything(drip) == b""
    everything(dripping_body)
    answer = everything(body)
    assert b" 408 " in answer
    assert b"did not come within 0.5 seconds" in answer
    half = connected()
    half.sendall(request(b"{}"))
    half.shutdown(socket.SHUT_WR)
    everything(half)
    for noise in (
        b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"A" * 70_000,
        b"GET / HTTP/9.9\r\nconnection: close\r\n\r\n",
    ):
        connection = connected()
        try:
            connection.sendall(noise)
        except OSError:
            continue
        everything(connection)
    reset = connected()
    reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reset.sendall(request(b'{"n": 2}'))
    reset.close()
    assert running.idle()
    assert running.http.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /health HTTP/1.1\r\nx-long: ",
        b"GET /",
        b"POST /v1/next HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2;x=",
        b"POST /v1/next HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-long: ",
        b"GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\nx-long: ",
    ],
    ids=["header", "address", "chunk's extension", "trailer", "second of two"],
)
def test_what_has_no_end_is_broken_off(running: Running, connected: Connect, begun: bytes):
    connection = connected()
    with pytest.raises(ConnectionError):
        connection.sendall(begun + b"x" * (64 << 20))


def test_an_answer_that_nobody_reads(running: Running, connected: Connect):
    connection = connected()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 400)  # more than the system keeps for us
    with pytest.raises(ConnectionError):
        for _ in range(600):
            time.sleep(0.1)
            connection.sendall(b"x")
    assert running.http.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize("body", [b'{"max_tokens": 1}', b""])
def test_a_client_that_offers_http2(running: Running, connected: Connect, body: bytes):
    """As Java's does, and curl: it is answered in HTTP/1.1, its body read, and may ask again."""
    method, path = ("POST", "/v1/completions") if body else ("GET", "/health")
    head = f"{method} {path} HTTP/1.1", "host: x", "content-type: application/json", f"content-length: {len(body)}"
    offer = "connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__"
    connection = connected()
    connection.sendall("\r\n".join([*head, *offer, "", ""]).encode() + body)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b"HTTP/1.1 200" in everything(connection)


def test_a_connection_may_be_idle_between_requests(running: Running):
    with httpx.Client(base_url=running.url) as http:
        http.get("/health")
        (connection,) = http._transport._pool.connections
        time.sleep(1)
        http.get("/health")
        assert http._transport._pool.connections == [connection]
