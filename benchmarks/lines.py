"""What a race prints and whoever runs it reads: one line a fact, by the race's name.

    NAME FIGURE LOWEST HIGHEST ≥REACH [extrapolated]    how many times faster than the other side, and what is expected
    NAME FIGURE LOWEST HIGHEST ≤REACH [extrapolated]    the same of a cost: seconds, or a ratio of bytes; less is better
    NAME computes FIGURE GFLOP/s, N threads             our arithmetic, to be held to what the machine multiplies
    NAME skipped: WHY                                   what has to be installed

All other lines are for people.
"""

import re
from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

Better = Literal["≥", "≤"]
VERDICT = re.compile(r"(\w+) ([\d.]+) ([\d.]+) ([\d.]+) ([≥≤])([\d.]+)( extrapolated)?")
ARITHMETIC = re.compile(r"(\w+) computes ([\d.]+) GFLOP/s, (\d+) threads")
SKIPPED = re.compile(r"(\w+) skipped: (.+)")


class Verdict(NamedTuple):
    """How a race ended: the usual figure, the least and the most favourable to the other side, and what is expected."""

    name: str
    figure: float
    lowest: float
    highest: float
    better: Better
    reach: float
    extrapolated: bool

    @property
    def within(self) -> bool:
        """Whether the usual figure is as good as it is expected to be."""
        return self.figure >= self.reach if self.better == "≥" else self.figure <= self.reach

    def __str__(self) -> str:
        figures = " ".join(f"{figure:.{digits(figure)}f}" for figure in self[1:4])
        return f"{self.name} {figures} {self.better}{self.reach:g}{' extrapolated' if self.extrapolated else ''}"


class Arithmetic(NamedTuple):
    """What ours computed a second, in GFLOP."""

    name: str
    rate: float
    threads: int

    def __str__(self) -> str:
        return f"{self.name} computes {self.rate:.2f} GFLOP/s, {self.threads} threads"


class Skipped(NamedTuple):
    """A race that could not be run, and what it needs."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} skipped: {self.why}"


Line = Verdict | Arithmetic | Skipped


def digits(figure: float) -> int:
    """Decimals worth printing."""
    return 0 if figure >= 100 else 2


def read(line: str) -> Line | None:
    """The fact that a line states; None where it is for people."""
    if found := VERDICT.fullmatch(line.strip()):
        name, figure, lowest, highest, better, reach, extrapolated = found.groups()
        least = "≥" if better == "≥" else "≤"
        return Verdict(name, float(figure), float(lowest), float(highest), least, float(reach), bool(extrapolated))
    if found := ARITHMETIC.fullmatch(line.strip()):
        return Arithmetic(found[1], float(found[2]), int(found[3]))
    if found := SKIPPED.fullmatch(line.strip()):
        return Skipped(found[1], found[2])
    return None


def costs(name: str, figures: Sequence[float], reach: float, extrapolated: bool = False) -> None:
    """Print how a cost ended, in whatever unit its name says: the less, the better."""
    print(Verdict(name, median(figures), min(figures), max(figures), "≤", reach, extrapolated), flush=True)


def skip(name: str, why: str) -> None:
    """Print that a race is not run."""
    print(Skipped(name, why), flush=True)
