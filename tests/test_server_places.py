"""`gdflow up` on a real PostgreSQL server, and behind a password; a run goes through, and strangers stay out."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from small_stack import client_of, ended, listening, started, up

from flows.up import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PASSWORD = "gdflow:correct-horse"


def installed(name: str) -> str | None:
    """A program of PostgreSQL's; Debian leaves those of the server out of PATH, in a folder of their version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: float(each.parent.name))
    return shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *map(str, reversed(folders))]))


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with an empty database `prefect`, as a user that may run one; the address that Prefect is told."""
    programs = {name: installed(name) for name in ("initdb", "pg_ctl", "createdb")}
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
            up(home, prefect, PREFECT_API_DATABASE_CONNECTION_URL=postgresql) as (api, _),
            client_of(api) as client,
        ):
            assert ended(client, started(client, "train/on-demand", {"preset": "tiny"})) == "COMPLETED"
            completed = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
            assert client.post("/flow_runs/count", json=completed).json() == turn + 1
            assert len(client.post("/automations/filter", json={}).json()) == 5
    assert not list(prefect.glob("*.db")), "nothing went into SQLite"


def test_behind_a_password(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    told = {"PREFECT_SERVER_API_AUTH_STRING": PASSWORD, "PREFECT_API_AUTH_STRING": PASSWORD}
    with up(home, tmp_path / "prefect", "--host", "0.0.0.0", **told) as (api, _):
        assert listening(api) == ["00000000"]
        assert httpx.get(api.replace("/api", "/ui-settings")).json()["api_url"] == "/api"
        assert httpx.post(f"{api}/deployments/filter", json={}).status_code == 401
        assert httpx.post(f"{api}/deployments/filter", json={}, auth=("gdflow", "wrong")).status_code == 401
        command = [sys.executable, "-m", "flows.cli", "run", "--preset", "tiny", "--home", str(home)]
        for password in ({}, {"PREFECT_API_AUTH_STRING": "gdflow:wrong"}):
            told_not = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_API_AUTH")}
            refused = subprocess.run(command, capture_output=True, text=True, env=told_not | password, check=False)
            assert refused.returncode == 2
            assert "asks for a password: set PREFECT_API_AUTH_STRING" in refused.stderr
            assert "Traceback" not in refused.stderr
        with client_of(api, auth=("gdflow", "correct-horse")) as client:
            assert len(client.post("/deployments/filter", json={}).json()) == 8
            assert ended(client, started(client, "train/on-demand", {"preset": "tiny"})) == "COMPLETED"
    for log in (home / "runs").rglob("*.log"):
        assert "correct-horse" not in log.read_text(errors="replace"), log
