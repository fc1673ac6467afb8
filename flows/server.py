"""Which Prefect server a command talks to: the configured one, the one that `gdflow up` runs, or one for itself."""

import atexit
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flows.console import our_log_lines, sigterm_raises
from flows.up import PREFECT, alive, child, environment_of, free_port, let_in, logs, running, wait
from gdcore.errors import UserError


@contextmanager
def connected(home: Path) -> Iterator[Callable[[], None]]:
    """Prefect, made quiet, with a server; yields the function to call when it is needed, which waits until it answers.

    Without a server, one is started for this command alone, and starts while the command gets ready; what it records
    is seen by any later server of the same Prefect home. Raises UserError when a server is configured and does not
    answer: Prefect itself would fail late, with a traceback.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with ExitStack() as stack:
        stack.enter_context(sigterm_raises())
        ready = _nothing_to_wait_for
        if (api := PREFECT_API_URL.value()) and not alive(api):
            raise UserError(
                f"Prefect is set to the server at {api} (PREFECT_API_URL), and no server answers there. Start it "
                "(`gdflow up` does, on this machine), or unset PREFECT_API_URL to run without one."
            )
        found = api or running(home)
        if found:
            let_in(found)
        else:
            found, ready = _own_server(home)
        if not api:
            stack.enter_context(temporary_settings({PREFECT_API_URL: found}))
        stack.enter_context(our_log_lines())
        yield ready


def _nothing_to_wait_for() -> None:
    pass


def _own_server(home: Path) -> tuple[str, Callable[[], None]]:
    """Start a server that lives as long as this process; in a session of its own, for Ctrl-C must not reach it first.

    Prefect's own «ephemeral» server shares our terminal: Ctrl-C ends it, and Prefect then tries for minutes to tell it
    that the run was stopped.
    """
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = environment_of(api) | {"PREFECT_UI_ENABLED": "false"}
    log = logs(home) / "own-server.log"
    stack = ExitStack()
    # One at a time: two servers that both set up the database of a new Prefect home break each other.
    turn = stack.enter_context(_turn_file().open("w"))
    fcntl.flock(turn, fcntl.LOCK_EX)
    # At exit, not before: until then Prefect is still sending what the run had to say.
    atexit.register(stack.close)
    command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = stack.enter_context(child(command, environment, log))

    def ready() -> None:
        wait(lambda: alive(api), server, log)
        let_in(api)
        fcntl.flock(turn, fcntl.LOCK_UN)

    return api, ready


def _turn_file() -> Path:
    from prefect.settings import PREFECT_HOME

    folder = Path(PREFECT_HOME.value())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "gdflow-server.lock"
