"""Two ways to do the same work, taking turns in one process: how many times faster ours is, and how sure that is.

With one thread, seconds are the process's CPU time, so that a busy machine changes little; with more, they are those of
the clock. Every race prints `name ratio lowest highest reach`: the ratio of the medians, what it would be at its least
and its most favourable round, and what was to be within reach.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch

Work = Callable[[], float]
"""Does a piece of work and says how much it was, in whatever unit the race is about."""


class Pace(NamedTuple):
    """Units a second, a round each."""

    rounds: list[float]

    @property
    def usual(self) -> float:
        return median(self.rounds)


def clock() -> float:
    """Seconds: of the processor with one thread, else of the day."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def paced(work: Work) -> float:
    """Units a second of one call."""
    begun = clock()
    units = work()
    return units / (clock() - begun)


def race(name: str, unit: str, ours: Work, theirs: Work, reach: float, rounds: int = 5, note: str = "") -> None:
    """Let both warm up, then take turns; print what each does a second, and the ratio."""
    for work in (ours, theirs):
        work()
    paces = Pace([]), Pace([])
    for _ in range(rounds):
        for pace, work in zip(paces, (ours, theirs), strict=True):
            pace.rounds.append(paced(work))
    tell(name, unit, *paces, reach, note)


def tell(name: str, unit: str, ours: Pace, theirs: Pace, reach: float, note: str = "") -> None:
    """Two lines: what each does a second, in words, and the ratio."""
    print(f"  {name}: {ours.usual:,.0f} {unit}/s against {theirs.usual:,.0f}{', ' + note if note else ''}", flush=True)
    lowest, highest = min(ours.rounds) / max(theirs.rounds), max(ours.rounds) / min(theirs.rounds)
    print(f"{name} {ours.usual / theirs.usual:.2f} {lowest:.2f} {highest:.2f} {reach:g}", flush=True)
