"""Which Prefect server a command talks to: the configured one, the one that `gdflow up` runs, or one for itself."""

import atexit
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from flows.console import our_log_lines, sigterm_raises
from flows.up import PREFECT, alive, child, free_port, logs, running, wait
from gdcore.errors import UserError


@contextmanager
def connected(home: Path) -> Iterator[None]:
    """Prefect, made quiet, with a server that answers.

    Without one, a server is started for this command alone; what it records is seen by any later server of the same
    Prefect home. Raises UserError when one is configured and does not answer: Prefect itself would fail late, with a
    traceback.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with ExitStack() as stack:
        if (api := PREFECT_API_URL.value()) and not alive(api):
            raise UserError(
                f"Prefect is set to the server at {api} (PREFECT_API_URL), and no server answers there. Start it "
                "(`gdflow up` does, on this machine), or unset PREFECT_API_URL to run without one."
            )
        if not api:
            api = running(home) or _own_server(home)
            stack.enter_context(temporary_settings({PREFECT_API_URL: api}))
        stack.enter_context(our_log_lines())
        stack.enter_context(sigterm_raises())
        yield


def _own_server(home: Path) -> str:
    """Start a server that lives as long as this process; in a session of its own, for Ctrl-C must not reach it first.

    Prefect's own «ephemeral» server shares our terminal: Ctrl-C ends it, and Prefect then tries for minutes to tell it
    that the run was stopped.
    """
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    environment = os.environ | {"PREFECT_API_URL": api, "PREFECT_UI_ENABLED": "false"}
    log = logs(home) / "own-server.log"
    stack = ExitStack()
    # At exit, not before: until then Prefect is still sending what the run had to say.
    atexit.register(stack.close)
    command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = stack.enter_context(child(command, environment, log))
    import_module("flows.train")  # takes as long as the server, and at the same time

    wait(lambda: alive(api), server, log)
    return api
