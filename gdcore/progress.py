"""What a long-running function yields while it works; the caller decides how to show it."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a stage has come.

    `done` and `total` count the same unit (bytes, texts, steps); `total` is None while unknown. `note` is a few words
    for a person: what is being done, or the latest figures. `readings` are all figures of a training that has just been
    looked at; None between two looks.
    """

    done: int
    total: int | None
    note: str = ""
    readings: Mapping[str, float] | None = None


@contextmanager
def bar(stage: str) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal; elsewhere nothing, the log lines say it."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn(f"{stage:12}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(stage, total=None, note="")
        yield lambda progress: bars.update(bar, completed=progress.done, total=progress.total, note=progress.note)
