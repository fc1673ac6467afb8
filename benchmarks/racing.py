"""Two ways to do the same work, taking turns in one process: how many times faster ours is, and how sure that is.

With one thread, seconds are the process's CPU time, so that a busy machine changes little; with more, they are those of
the clock, and the race's name says how many. Every race prints `name ratio lowest highest ≥reach` (`benchmarks.lines`):
the ratio of the medians, what it would be at its least and its most favourable round, and what was to be within reach.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

import torch

from benchmarks.lines import Arithmetic, Verdict

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


def race(
    name: str,
    unit: str,
    ours: Work,
    theirs: Work,
    reach: float,
    rounds: int = 5,
    note: str = "",
    flop: float = 0,
    warm: bool = True,
) -> None:
    """Let both warm up, unless a call takes so long that it does not matter; then take turns, and tell.

    `flop` is the arithmetic that a unit takes ours. A note that begins with «extrapolated» marks the verdict so.
    """
    for work in (ours, theirs) if warm else ():
        work()
    paces = Pace([]), Pace([])
    for _ in range(rounds):
        for pace, work in zip(paces, (ours, theirs), strict=True):
            pace.rounds.append(paced(work))
    tell(name, unit, *paces, reach, note, flop)


def tell(name: str, unit: str, ours: Pace, theirs: Pace, reach: float, note: str = "", flop: float = 0) -> None:
    """What each does a second, in words; the ratio; and ours in arithmetic, where it is known."""
    threads = torch.get_num_threads()
    name = name if threads == 1 else f"{name}_{threads}t"
    each = " against ".join(
        f"{pace.usual:,.0f}" if pace.usual >= 10 else f"{pace.usual:.3g}" for pace in (ours, theirs)
    )
    print(f"  {name}: {each} {unit}/s{', ' + note if note else ''}", flush=True)
    lowest, highest = min(ours.rounds) / max(theirs.rounds), max(ours.rounds) / min(theirs.rounds)
    extrapolated = note.startswith("extrapolated")
    print(Verdict(name, ours.usual / theirs.usual, lowest, highest, "≥", reach, extrapolated), flush=True)
    if flop:
        print(Arithmetic(name, flop * ours.usual / 1e9, threads), flush=True)


def weights(model: torch.nn.Module, *looked_up: str) -> int:
    """Weights that a token is multiplied with: all matrices but those by these names, of which a row is looked up."""
    named = model.named_parameters()
    return sum(parameter.numel() for name, parameter in named if parameter.dim() == 2 and name not in looked_up)
