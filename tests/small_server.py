"""A real server on a loopback port, in a thread of the tests' process."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from gdcore.serving.admission import Serving
from gdcore.serving.app import create_app
from gdcore.serving.keys import Keys
from gdcore.serving.limits import Limits
from gdcore.serving.running import server


class Running:
    """Where it listens, and what it serves."""

    def __init__(self, port: int, serving: Serving) -> None:
        self.port, self.serving = port, serving
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def texts(self, **asked: object) -> list[str]:
        answer = self.http.post("/v1/completions", json=asked)
        assert answer.status_code == 200, answer.text
        return [choice["text"] for choice in answer.json()["choices"]]

    def idle(self, seconds: float = 5) -> bool:
        """Whether all slots become free."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if all(
                not model.batcher or model.batcher.running + model.batcher.waiting == 0 for model in self.serving.models
            ):
                return True
            time.sleep(0.01)
        return False


@contextmanager
def serve(bundles: Mapping[str, Path], limits: Limits | None = None, **options: object) -> Iterator[Running]:
    """A server until the block ends; it must then end by itself."""
    app, serving = create_app(bundles, limits, **options)
    running = server(app, serving, "127.0.0.1", 0)
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        while not running.started:
            assert thread.is_alive()
            time.sleep(0.01)
        here = Running(running.servers[0].sockets[0].getsockname()[1], serving)
        with here.http:
            yield here
    finally:
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


__all__ = ["Keys", "Limits", "Running", "serve"]
