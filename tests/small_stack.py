"""`gdflow up` for a test, and how to talk to its server: patiently, as Prefect's own client does."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from flows.up import free_port

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Patient(httpx.HTTPTransport):
    """Asks again while the server is busy: on SQLite it answers 503 where another writer holds the database."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + 60
        while (response := super().handle_request(request)).status_code == 503 and time.monotonic() < deadline:
            response.close()
            time.sleep(0.5)
        return response


def client_of(api: str, **more: Any) -> httpx.Client:
    return httpx.Client(base_url=api, timeout=60, transport=Patient(), **more)


@contextlib.contextmanager
def up(home: Path, prefect: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of the API of `gdflow up` on a free port, and its process; stopped and waited for at the end."""
    api = f"http://127.0.0.1:{free_port()}/api"
    told = {"PREFECT_HOME": str(prefect), "PREFECT_API_URL": api, "OMP_NUM_THREADS": "1"}
    told |= {"PREFECT_WORKER_QUERY_SECONDS": "2"} | environment
    command = [sys.executable, "-m", "flows.cli", "up", "--home", str(home), "--json", *arguments]
    with subprocess.Popen(command, env=os.environ | told, cwd=home, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert '"already_running": false' in process.stdout.readline()
        try:
            yield api, process
        finally:
            process.terminate()
            assert process.wait(60) == 0


def alive_on(api: str) -> bool:
    try:
        return httpx.get(f"{api}/health").is_success
    except httpx.HTTPError:
        return False


def listening(api: str) -> list[str]:
    """The addresses on which something listens at the API's port, as /proc/net has them: 0100007F is 127.0.0.1."""
    port = f"{httpx.URL(api).port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [line[1].split(":")[0] for line in lines if line[1].endswith(f":{port}") and line[3] == "0A"]


def eventually(found: Callable[[], Any], seconds: float = 240) -> Any:
    """What is found, once something is."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)
    return value


def started(client: httpx.Client, deployment: str, parameters: dict[str, Any]) -> str:
    """The id of a run that was asked for."""
    found = client.get(f"/deployments/name/{deployment}").raise_for_status().json()
    asked = client.post(f"/deployments/{found['id']}/create_flow_run", json={"parameters": parameters})
    return asked.raise_for_status().json()["id"]


def ended(client: httpx.Client, run: str) -> str:
    """How a run ends, once it does."""

    def state() -> str | None:
        with contextlib.suppress(httpx.TransportError):  # a server that was killed is being started again
            kind = client.get(f"/flow_runs/{run}").raise_for_status().json()["state_type"]
            return kind if kind in ENDED else None
        return None

    return eventually(state, 400)
