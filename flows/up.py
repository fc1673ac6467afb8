"""`gdflow up`: a Prefect server and a worker on this machine, and everything deployed to them.

What runs is Prefect itself, as its own command line starts it; here is only what keeps the pieces together: they start
in order, a second `up` finds the first, and none outlives the process that started it.
"""

import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

import flows
from gdcore.errors import UserError
from gdcore.processes import die_with_parent

DEPLOYMENTS = Path(flows.__file__).with_name("prefect.yaml")
POOL = "gdflow"
WORKING = "prefect.deployments.steps.set_working_directory"
PREFECT = (sys.executable, "-m", "prefect", "--no-prompt")
START_SECONDS = 180
STOP_SECONDS = 20
KEPT_SECONDS = 90 * 24 * 3600
BEGUN = "=== begun "
"""What a start is marked with in its log, where the earlier ones stand too."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
PASSWORDS = ("PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING")
MOST_ENDS, ENDS_SECONDS = 4, 600
"""A server or worker that ends so often within that time is not started again."""
LOG_BYTES = 10_000_000
"""A log that has grown longer begins anew; what it said before is kept once."""

Processes = dict[str, "Kept"]


def alive(api: str) -> bool:
    """Whether a Prefect server answers at this address."""
    return answers(f"{api}/health")


def answers(url: str) -> bool:
    """Whether there is something at this address."""
    try:
        return httpx.get(url, timeout=5, auth=_password()).status_code == 200
    except httpx.HTTPError:
        return False


def _password() -> tuple[str, str] | None:
    """What a server that asks for a password is told."""
    name, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    return (name, password) if name else None


def _told_by_profile() -> bool:
    """Whether Prefect knows a password, or a key, from somewhere else than the environment."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_KEY

    return bool(PREFECT_API_KEY.value()) or (bool(PREFECT_API_AUTH_STRING.value()) and not _password())


def let_in(api: str) -> None:
    """Raises UserError where the server asks for another password than it is told: its health it tells to all."""
    try:
        status = httpx.get(f"{api}/admin/version", timeout=5, auth=_password()).status_code
    except httpx.HTTPError:
        return
    if status == 401 and not _told_by_profile():
        raise UserError(f"the server at {api} asks for a password: set PREFECT_API_AUTH_STRING to its name:password.")


def running(home: Path) -> str | None:
    """The API address of the `up` that is running for this home, or None."""
    try:
        with (home / "runs" / ".up" / "lock").open("r+") as lock:
            return None if _locked(lock) else lock.read().strip() or None
    except FileNotFoundError:
        return None


def address_of(host: str, port: int) -> str:
    """The API's address, seen from this machine, of a server that listens on this host."""
    own = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (asked for by name, behind a password)
    return f"http://{f'[{own}]' if ':' in own else own}:{port}/api"


def require_password(host: str) -> None:
    """Raises UserError where strangers could reach the server, and no password keeps them out."""
    if host not in LOOPBACK and not all(map(os.environ.get, PASSWORDS)):
        raise UserError(
            f"--host {host} lets other machines reach the server, which starts what it is told to. Expected a "
            f"password: set {' and '.join(PASSWORDS)} to name:password, or leave --host at 127.0.0.1."
        )


@contextmanager
def up(
    home: Path, api: str, limit: int, notices: str | None = None, host: str = "127.0.0.1"
) -> Iterator[tuple[dict[str, Any], Processes]]:
    """Start what is not yet running, deploy everything; on the way out stop what was started.

    Yields where to look, and the processes to watch: none when another `up` holds this home already. `notices` is the
    webhook that is told what happens; `host` is where a server that is started listens.
    """
    require_password(host)
    folder = logs(home)
    forget_old_results(folder)
    variables = environment_for(home, api)
    answer = {"ui": api.removesuffix("/api"), "api": api, "home": str(home), "logs": str(folder), "pool": POOL}
    with ExitStack() as stack:
        lock = stack.enter_context((folder / "lock").open("a+"))
        if not _locked(lock):
            api = (folder / "lock").read_text().strip() or api
            answer |= {"ui": api.removesuffix("/api"), "api": api}
            let_in(api)
            deploy(environment_for(home, api), notices, trainings=limit)
            yield answer | {"already_running": True}, {}
            return
        lock.truncate(0)
        lock.write(api)
        lock.flush()
        processes: Processes = {}
        if not alive(api):
            address = urlsplit(api)
            if address.hostname not in (*LOOPBACK, host):
                raise UserError(
                    f"PREFECT_API_URL is set to {api}, where no server answers, and that is not this machine. "
                    "Start the server there, or unset PREFECT_API_URL to have one started here."
                )
            command = [*PREFECT, "server", "start", "--host", host, "--port", str(address.port or 80)]
            # A browser elsewhere must not be sent to its own loopback.
            served = variables | ({} if host in LOOPBACK else {"PREFECT_UI_API_URL": "/api"})
            processes["server"] = stack.enter_context(Kept(command, served, folder / "server.log"))
            processes["server"].until(lambda: alive(api))
        let_in(api)
        if other := _other_home(api, home):
            raise UserError(
                f"the Prefect server at {api} works for the home {other}, where `gdflow up` is running: its nights "
                f"would be spent in {home} from now on. Stop that one first, or give --home {other}. Two homes at a "
                "time need a PREFECT_HOME and a --port each."
            )
        command = [*PREFECT, "worker", "start", "--pool", POOL, "--type", "process", "--limit", str(limit)]
        command += ["--name", f"gdflow-{socket.gethostname()}"]
        processes["worker"] = stack.enter_context(Kept(command, variables, folder / "worker.log"))
        # The worker makes the pool that the deployments name.
        processes["worker"].until(lambda: answers(f"{api}/work_pools/{POOL}"))
        deploy(variables, notices, trainings=limit)
        yield answer | {"already_running": False}, processes


def _other_home(api: str, home: Path) -> str | None:
    """The home that the server's deployments work in, where that is another one and an `up` is running for it."""
    asked = {"work_pools": {"name": {"any_": [POOL]}}}
    try:
        answer = httpx.post(f"{api}/deployments/filter", json=asked, timeout=30, auth=_password())
        deployments = answer.raise_for_status().json()
    except httpx.HTTPError:
        return None
    steps = [step for each in deployments for step in each["pull_steps"] or []]
    folders = {step[WORKING]["directory"] for step in steps if WORKING in step}
    for folder in sorted(folders):
        with suppress(OSError):
            if Path(folder).resolve() != home.resolve() and running(Path(folder)):
                return folder
    return None


class Kept(ExitStack):
    """A child that is started again when it ends, unless it keeps ending."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        super().__init__()
        self.command, self.environment, self.log = command, environment, log
        self.ends: list[float] = []
        self.process = self._begun()

    def until(self, ready: Callable[[], bool]) -> None:
        """Wait until it is ready. Raises UserError where it ends before."""
        wait(ready, self.process, self.log)

    def keep(self, name: str) -> None:
        """Start it again if it has ended. Raises UserError when it has ended `MOST_ENDS` times in `ENDS_SECONDS`."""
        rotate(self.log)
        if (status := self.process.poll()) is None:
            return
        self.ends = [*(end for end in self.ends if time.monotonic() - end < ENDS_SECONDS), time.monotonic()]
        if len(self.ends) >= MOST_ENDS:
            raise UserError(f"the {name} ends again and again (status {status}); see {self.log}.")
        logging.getLogger(__name__).warning(
            "the %s has ended (status %s): started again; see %s", name, status, self.log
        )
        self.close()  # whatever is left of it
        self.process = self._begun()

    def _begun(self) -> subprocess.Popen[bytes]:
        return self.enter_context(child(self.command, self.environment, self.log))


def watch(processes: Processes) -> None:
    """Return when there is nothing to watch; else start again what ends, until Ctrl-C or SIGTERM."""
    while processes:
        for name, process in processes.items():
            process.keep(name)
        time.sleep(0.3)


def deploy(environment: dict[str, str], notices: str | None = None, pool: str = "process", trainings: int = 1) -> None:
    """Create or update the work pool, the deployments of prefect.yaml, and the automations that go with them.

    `trainings` is how many there may be at a time, where the server does not know that yet.
    """
    told = {"GDFLOW_POOL": pool, "GDFLOW_TRAININGS": str(trainings)} | ({"GDFLOW_NOTICES": notices} if notices else {})
    command = [sys.executable, "-m", "flows.deploying"]
    done = subprocess.run(command, env=environment | told, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"deploying failed:\n{done.stdout}{done.stderr}")


def deployment_names() -> list[str]:
    """What prefect.yaml describes."""
    return [each["name"] for each in yaml.safe_load(DEPLOYMENTS.read_text("utf-8"))["deployments"]]


def logs(home: Path) -> Path:
    """The folder of what servers and workers have to say."""
    folder = home / "runs" / ".up"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}. Give a writable folder with --home.") from error
    return folder


def forget_old_results(folder: Path) -> None:
    """Remove what Prefect has kept of errors for longer than it keeps the runs."""
    for path in (folder / "results").glob("*"):
        if path.is_file() and time.time() - path.stat().st_mtime > KEPT_SECONDS:
            path.unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment_of(api: str) -> dict[str, str]:
    """For a server and whatever talks to it; a module in the folder of the user must not stand in for a library's."""
    return os.environ | {"PREFECT_API_URL": api, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}


def environment_for(home: Path, api: str) -> dict[str, str]:
    """For the server, the worker and the runs: where the work lies, and settings that long runs need."""
    return environment_of(api) | {
        "GDFLOW_HOME": str(home),
        # Concurrency slots kept in memory are lost with the server, and Prefect then cancels the run that held one.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        # What failed runs leave of their errors: here it is known whose it is, and goes in time.
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "runs" / ".up" / "results"),
        # Ended runs go after ninety days, with their logs and artifacts; what they made stays in the home.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    }


def rotate(log: Path) -> None:
    """Let a long log begin anew, beside `….log.previous`. Whoever writes to it goes on: its file is open to append."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        shutil.copyfile(log, f"{log}.previous")
        os.truncate(log, 0)


@contextmanager
def child(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child in a group of its own (Ctrl-C reaches us alone, who stop things in order), stopped with its children."""
    rotate(log)
    with log.open("ab") as output:
        output.write(f"{BEGUN}{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode())
        output.flush()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the whole group, SIGKILL to what is left after a while."""
    for number, patience in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        if _gone(process, patience):
            break


def _gone(process: subprocess.Popen[bytes], patience: float) -> bool:
    """Whether every process of the group ends within so many seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        process.poll()
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def wait(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it is ready. Raises UserError with the end of what it logged when it ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").rpartition(BEGUN)[2].partition("\n")[2]
            tail = "\n".join(said.splitlines()[-15:])
            raise UserError(
                f"Prefect did not start; its log {log} ends with:\n{tail}\n"
                "If the port is taken, choose another (`gdflow up --port`)."
            )
        time.sleep(0.3)


def _locked(file: Any) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
