"""A look at a model between two steps: long and without effect, and so left at once by whoever is told to stop.

A look yields word that it is going on (`looking`) wherever it may be left. A checkpoint that is written then holds the
report of the step before it, and whoever goes on from there begins with that look.
"""

from collections.abc import Generator, Iterator
from typing import Any, TypeVar

import torch

from gdcore.training.checkpoint import Resumable

T = TypeVar("T")
Report = dict[str, Any]
Look = Generator[None, None, T]


def looked(look: Look[T], state: Resumable, report: Report) -> Generator[Report, None, T]:
    """What a look finds; `report` is that of the step before it, empty before the first."""
    drawn = torch.get_rng_state()
    state.memory |= {"unseen": dict(report)} if report else {}
    while True:
        try:
            next(look)
        except StopIteration as end:
            state.memory.pop("unseen", None)
            return end.value
        try:
            yield {"step": state.step, "looking": True}
        except GeneratorExit:  # what the look has drawn it will draw again
            torch.set_rng_state(drawn)
            raise


def unseen_first(reports: Iterator[Report], state: Resumable) -> Iterator[Report]:
    """The reports, led by that of a step at which the look was left."""
    if "unseen" in state.memory:
        yield state.memory.pop("unseen")
    yield from reports
