"""Every race, each in a process of its own: what the machine can do, what they print, and which fall short.

    python -m benchmarks [--all] [--only NAME …] [--out FILE]

Without options a selection, meant for a quarter of an hour on two quiet cores (`make bench`); with `--all`
everything, at full length, with one thread and with two (`make bench-all`). Results are written as they come. Ends with
status 1 if a race breaks off or says nothing; to fall short is a result like any other.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from benchmarks.lines import Arithmetic, Skipped, Verdict, read
from flows import DEFAULTS  # the environment that the command sets

RESULTS = Path(__file__).parent / "results"
POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


class Race(NamedTuple):
    """A benchmark and how it is run."""

    name: str
    short: str | None
    """Module and options when time is short; None: only with `--all`."""
    whole: str
    """The same at full length."""
    threads: bool = False
    """Whether it is run with two threads too, at full length."""


RACES = (
    Race("lstm", "bench_lstm --rounds 2", "bench_lstm", threads=True),
    Race("gpt", "bench_gpt --rounds 2", "bench_gpt", threads=True),
    Race("relgan", "bench_relgan --rounds 1", "bench_relgan", threads=True),
    Race("seqgan", "bench_seqgan --rounds 1", "bench_seqgan"),
    Race("bleu", "bench_bleu --rounds 1 --nltk-texts 2", "bench_bleu"),
    Race("tokens", "bench_tokens --rounds 2", "bench_tokens"),
    Race("onnx", "bench_generate_onnx --rounds 2", "bench_generate_onnx --rounds 5", threads=True),
    Race("startup", "bench_startup --rounds 2", "bench_startup"),
    Race("tokens_1gb", None, "bench_tokens --megabytes 1000 --rounds 2"),
    Race("overhead", None, "bench_startup --preset quickstart --only runs --rounds 1"),
    Race("protocol", None, "bench_protocol"),
    Race("serve", None, "bench_serve --rounds 9"),
    Race("memory", None, "bench_memory"),
    Race("scaling", None, "bench_scaling"),
)


def processor() -> str:
    """The processor's name, as Linux tells it."""
    with suppress(OSError):
        if found := re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()):
            return found[1]
    return "processor"


def default_out() -> Path:
    """`<date>_<hardware>.md` among the results."""
    hardware = re.sub(r"\W+", "-", processor().lower()).strip("-")
    return RESULTS / f"{time.strftime('%Y-%m-%d')}_{hardware}-{os.cpu_count()}.md"


def lines_of(command: list[str], threads: int) -> Iterator[str]:
    """Run it, and hand on each line as it is printed. Raises CalledProcessError."""
    environment = DEFAULTS | os.environ | dict.fromkeys(POOLS, str(threads))
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout
        yield from process.stdout
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


class Report:
    """Where everything is written as it comes: the terminal, and the results' file."""

    def __init__(self, out: Path) -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("")
        self.out = out
        self.facts: list[Verdict | Arithmetic | Skipped] = []
        self.broken: list[str] = []
        self.limits: dict[tuple[str, int], float] = {}

    def write(self, text: str) -> None:
        print(text, flush=True)
        with self.out.open("a", encoding="utf-8") as file:
            print(text, file=file)

    def run(self, name: str, module: str, threads: int) -> None:
        """One race; what it prints, and what of it counts."""
        command = [sys.executable, "-m", *f"benchmarks.{module}".split()]
        self.write(f"## {name}, {threads} thread{'s' * (threads > 1)}\n\n    python {' '.join(command[1:])}\n\n```")
        known, begun = len(self.facts), time.monotonic()
        try:
            for line in lines_of(command, threads):
                self.write(line.rstrip("\n"))
                if found := re.fullmatch(r"limit (\w+) (\d+) ([\d.]+) .+", line.strip()):
                    self.limits[found[1], int(found[2])] = float(found[3])
                elif fact := read(line):
                    self.facts.append(fact)
        except subprocess.CalledProcessError as error:
            self.broken.append(f"{name} ended with status {error.returncode}")
        else:
            if module != "limits" and len(self.facts) == known:
                self.broken.append(f"{name} said nothing")
        self.write(f"```\n\n{time.monotonic() - begun:.0f} s; load {os.getloadavg()[0]:.1f} at its end.\n")

    def conclude(self) -> None:
        """All verdicts in a table, the distance to the machine's limits, and last what falls short."""
        verdicts = [fact for fact in self.facts if isinstance(fact, Verdict)]
        self.write("## All\n\n| race | | lowest | highest | reach | |\n|---|---:|---:|---:|---:|---|")
        for each in verdicts:
            name, *figures, reach = str(each).removesuffix(" extrapolated").split()
            told = "" if each.within else "short"
            mark = " extrapolated" if each.extrapolated else ""
            self.write(f"| `{name}` | {' | '.join(figures)} | {reach} | {told}{mark} |")
        self.write("\n## Of what the machine multiplies in float32\n\n| | GFLOP/s | share |\n|---|---:|---:|")
        for each in self.facts:
            if isinstance(each, Arithmetic) and (most := self.limits.get(("float32", each.threads))):
                self.write(f"| `{each.name}` | {each.rate:.1f} | {each.rate / most:.0%} |")
        self.write("")
        for each in self.facts:
            if isinstance(each, Skipped):
                self.write(f"Skipped: {each.name}: {each.why}")
        for each in self.broken:
            self.write(f"**Broken: {each}**")
        short = [each for each in verdicts if not each.within]
        self.write(
            f"\n{len(short)} of {len(verdicts)} fall short of their reach:\n" if short else "\nAll within reach."
        )
        for each in short:
            self.write(f"- {each}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every race at full length")
    parser.add_argument("--only", nargs="+", choices=[race.name for race in RACES], metavar="NAME")
    parser.add_argument(
        "--out", type=Path, default=None, help="the results' file; by default named by date and machine"
    )
    given = parser.parse_args()
    report = Report(given.out or default_out())
    told = " ".join(sys.argv[1:])
    report.write(f"# Races, {time.strftime('%Y-%m-%d')}\n\n    python -m benchmarks {told}".rstrip())
    report.write(f"\n{processor()}, {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f} at the beginning.\n")
    report.run("limits", "limits", os.cpu_count() or 1)
    for race in RACES:
        if (given.only and race.name not in given.only) or not (given.all or given.only or race.short):
            continue
        module = race.whole if given.all or not race.short else race.short
        for threads in (1, 2) if given.all and race.threads else (1,):
            report.run(race.name, module, threads)
    report.conclude()
    sys.exit(bool(report.broken))


if __name__ == "__main__":
    main()
