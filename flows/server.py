"""Which Prefect server a command talks to: the configured one, the one that `gdflow up` runs, or one for itself."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.console import our_log_lines
from flows.up import alive, running
from gdcore.errors import UserError


@contextmanager
def connected(home: Path) -> Iterator[None]:
    """Prefect, made quiet, with a server that answers.

    Raises UserError when one is configured and does not: Prefect itself would fail late, with a traceback.
    """
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    if "PREFECT_API_URL" not in os.environ and (api := running(home)):
        os.environ["PREFECT_API_URL"] = api
    from prefect.settings import PREFECT_API_URL

    api = PREFECT_API_URL.value()
    if api and not alive(api):
        raise UserError(
            f"Prefect is set to the server at {api} (PREFECT_API_URL), and no server answers there. Start it "
            "(`gdflow up` does, on this machine), or unset PREFECT_API_URL to run without one."
        )
    with our_log_lines():
        yield
