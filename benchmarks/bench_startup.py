"""Waiting: imports of each entry point, a second identical run, and what the pipeline costs beside its bare stages.

    python -m benchmarks.bench_startup [--rounds 3] [--only imports runs] [--preset tiny]

Each in a process of its own, in seconds of processor time; less is better (`name seconds lowest highest ≤reach`). For
`runs` a whole run is made in a temporary folder, without a server, and repeated there. The overhead is
the first run's processor time less that of all its stages, each of which books its own: what Prefect, the store, the
report and imports take. Shares of it by the clock, on a quiet machine, are the `--preset quickstart` row's.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.lines import costs
from flows import DEFAULTS  # the environment that the command sets

IMPORTS = {
    "serving": ("import gdcore.serving.app", 0.5),
    "session": ("import gdcore.serving.session", 0.5),
    "help": ("import sys; sys.argv = ['gdflow', '--help']; import flows.cli; flows.cli.app()", 0.5),
    "train": ("import flows.train", 10.0),
}
"""By name: what is run, and how many seconds it may take. What a run imports is most of a second identical run."""


def seconds(command: list[str], folder: Path | None = None) -> tuple[float, str]:
    """Processor time of a process and of those it started, and what it printed."""
    environment = DEFAULTS | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"} | os.environ
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def imports(rounds: int, preset: str) -> None:
    """Of every entry point; the interpreter's own start apart, which nobody can help."""
    for name, (program, reach) in IMPORTS.items():
        found: list[float] = []
        for _ in range(rounds):
            bare, _ = seconds([sys.executable, "-c", "pass"])
            found.append(max(0.0, seconds([sys.executable, "-c", program])[0] - bare))
        costs(f"import_{name}_seconds", found, reach)


def runs(rounds: int, preset: str) -> None:
    """A run, and the same again."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["PREFECT_HOME"] = str(home / "prefect")
        command = [sys.executable, "-m", "flows.cli", "run", "--preset", preset, "--home", folder, "--json"]
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        first, told = seconds(command, home)
        print(f"  the first run: {first:.1f} s; {len(json.loads(told)['stages'])} stages")
        stages = [json.loads(path.read_text()) for path in home.glob("artifacts/*/*/manifest.json")]
        bare = sum(stage["about"]["cpu_seconds"] for stage in stages)
        print(f"  of it in {len(stages)} stages: {bare:.1f} s; the rest is {(first - bare) / bare:.0%} of that")
        costs(f"overhead_{preset}_cpu_seconds", [first - bare], 10)
        costs("run_again_cpu_seconds", [seconds(command, home)[0] for _ in range(rounds)], 10)


def main() -> None:
    parts = {"imports": imports, "runs": runs}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    given = parser.parse_args()
    for name in given.only:
        parts[name](given.rounds, given.preset)


if __name__ == "__main__":
    main()
