"""How the command line speaks: one JSON object or words on standard output, everything else on standard error."""

import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from gdcore.errors import UserError

STOPPED = (
    "Stopped. What is complete is kept, and a stage in training goes on from its last checkpoint: "
    "the same command resumes."
)


class Terminated(BaseException):
    """SIGTERM, as Ctrl-C is KeyboardInterrupt."""


@contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that what was started is stopped; Prefect, in a flow, reports it."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Commands(TyperGroup):
    """The commands, with one way out for wrong input (2) and one for being stopped (130, 143, or 124 by the clock)."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            fail(str(error), 2)
        except KeyboardInterrupt:
            fail(STOPPED, 130)
        except Terminated:
            fail(STOPPED, 143)
        except TimeoutError as error:
            if type(error).__name__ != "FlowRunTimeoutError":  # Prefect's, which is not imported for its name alone
                raise
            fail(f"It took longer than GDFLOW_TIMEOUT_HOURS allows. {STOPPED}", 124)


def fail(message: str, status: int) -> None:
    """One paragraph on standard error, and the end."""
    typer.echo(message, err=True)
    raise typer.Exit(status)


def answer(result: dict[str, Any], as_json: bool, show: Callable[[dict[str, Any]], None]) -> None:
    """The command's result: as one JSON object, or shown to a person."""
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, default=str))
    else:
        show(result)


@contextmanager
def quiet_stdout() -> Iterator[None]:
    """Whatever anything prints meanwhile, child processes included, goes to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def our_log_lines() -> Iterator[None]:
    """Our own log lines on standard error; Prefect's, with its tracebacks, stay in the run's log and in the UI."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    loggers = [logging.getLogger(name) for name in ("gdcore", "tasks", "flows")]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


def settings(assignments: list[str]) -> dict[str, Any]:
    """`key=value` assignments, each value read as YAML. Raises UserError for one that is not that."""
    import yaml

    values: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise UserError(f"--set {assignment}: expected key=value, as in --set finetune.steps=200")
        try:
            values[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UserError(f"--set {assignment}: the value is not YAML ({error}); put it in quotes") from None
    return values


def size(num_bytes: int) -> str:
    """A number of bytes for a person."""
    value = float(num_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.3g} {unit}" if unit != "B" else f"{num_bytes} B"
        value /= 1000
    return f"{value:.3g} TB"
