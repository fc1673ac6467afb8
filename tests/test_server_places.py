"""`gdflow up` on a real PostgreSQL server, and behind a password; a run goes through, and strangers stay out."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_deployment import eventually, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PASSWORD = "gdflow:correct-horse"


@contextlib.contextmanager
def up(home: Path, prefect: Path, **environment: str) -> Iterator[str]:
    """`gdflow up`, and the address of its API."""
    api = f"http://127.0.0.1:{free_port()}/api"
    told = {"PREFECT_HOME": str(prefect), "PREFECT_API_URL": api, "OMP_NUM_THREADS": "1"}
    told |= {"PREFECT_WORKER_QUERY_SECONDS": "2"} | environment
    command = [sys.executable, "-m", "flows.cli", "up", "--home", str(home), "--json"]
    with subprocess.Popen(command, env=os.environ | told, cwd=home, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert '"already_running": false' in process.stdout.readline()
        try:
            yield api
        finally:
            process.terminate()
            assert process.wait(60) == 0


def run(client: httpx.Client, deployment: str, parameters: dict[str, Any]) -> str:
    """How a run of a deployment ends."""
    found = client.get(f"/deployments/name/{deployment}").json()

    def asked() -> httpx.Response | None:
        response = client.post(f"/deployments/{found['id']}/create_flow_run", json={"parameters": parameters})
        return None if response.status_code == 503 else response  # busy: Prefect's own client asks again, too

    started = eventually(asked).raise_for_status().json()

    def ended() -> str | None:
        state = client.get(f"/flow_runs/{started['id']}").json()["state_type"]
        return state if state in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

    return eventually(ended)


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with an empty database `prefect`, as a user that may run one; the address that Prefect is told."""
    programs = {name: shutil.which(name) for name in ("initdb", "pg_ctl", "createdb")}
    if not all(programs.values()):
        pytest.skip("no PostgreSQL is installed")
    folder = tmp_path_factory.mktemp("postgresql")
    as_user: list[str] = []
    if os.geteuid() == 0:  # which PostgreSQL refuses to run as
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        for parent in [folder.parent, *folder.parent.parents]:
            if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    port = free_port()

    def call(name: str, *arguments: str) -> None:
        command = [*as_user, str(programs[name]), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    call("initdb", "-D", str(folder / "data"), "-U", "prefect", "-A", "trust")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
    call("pg_ctl", "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "prefect", "prefect")
        yield f"postgresql+asyncpg://prefect:any@127.0.0.1:{port}/prefect"
    finally:
        call("pg_ctl", "-D", str(folder / "data"), "-m", "fast", "-w", "stop")


def test_on_postgresql(tmp_path: Path, postgresql: str) -> None:
    home, prefect = tmp_path / "home", tmp_path / "prefect"
    home.mkdir()
    for turn in range(2):  # the second finds tables that are there already, and what the first recorded
        with (
            up(home, prefect, PREFECT_API_DATABASE_CONNECTION_URL=postgresql) as api,
            httpx.Client(base_url=api, timeout=60) as client,
        ):
            assert run(client, "train/on-demand", {"preset": "tiny"}) == "COMPLETED"
            completed = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
            assert client.post("/flow_runs/count", json=completed).json() == turn + 1
            assert len(client.post("/automations/filter", json={}).json()) == 5
    assert not list(prefect.glob("*.db")), "nothing went into SQLite"


def test_behind_a_password(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    told = {"PREFECT_SERVER_API_AUTH_STRING": PASSWORD, "PREFECT_API_AUTH_STRING": PASSWORD}
    with up(home, tmp_path / "prefect", **told) as api:
        assert httpx.post(f"{api}/deployments/filter", json={}).status_code == 401
        assert httpx.post(f"{api}/deployments/filter", json={}, auth=("gdflow", "wrong")).status_code == 401
        with httpx.Client(base_url=api, timeout=60, auth=("gdflow", "correct-horse")) as client:
            assert len(client.post("/deployments/filter", json={}).json()) == 8
            assert run(client, "train/on-demand", {"preset": "tiny"}) == "COMPLETED"
    for log in (home / "runs").rglob("*.log"):
        assert "correct-horse" not in log.read_text(errors="replace"), log
