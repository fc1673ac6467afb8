"""What every test stands on: one thread, no telemetry, and a Prefect that is nobody's but the tests'."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Time is no property of an input: on a busy machine any example may take a second.
hypothesis.settings.register_profile("gdflow", deadline=None)
hypothesis.settings.load_profile("gdflow")

os.environ.setdefault("OMP_NUM_THREADS", "1")

# Before anything imports Prefect: its settings are read once. The user's own home must stay as it is.
_HOME = tempfile.TemporaryDirectory(prefix="gdflow-prefect-", ignore_cleanup_errors=True)
os.environ["PREFECT_HOME"] = _HOME.name
os.environ.pop("PREFECT_API_URL", None)
os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"

import flows  # noqa: E402, F401  (sets the rest of the environment)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """A real Prefect server on a database of its own, for the tests that run flows in this process."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=200):
        yield PREFECT_API_URL.value()


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> tuple[Path, dict[str, Any]]:
    """A home with one finished run, and what that run returned; for tests that leave both as they are."""
    from small_run import run

    home = tmp_path_factory.mktemp("home")
    return home, run(home)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", default="100", help="How often the chaos test kills (tests/flows/test_chaos.py).")
    parser.addoption("--fuzz", default="300", help="Requests made up for each route (tests/serving/test_fuzz.py).")
