"""Peak memory of every stage of a run, by the corpus' size and by the batch's.

    python -m benchmarks.bench_memory [--megabytes 25] [--times 4] [--batches 32 128]

Each a whole run in a process of its own and a fresh home, the text that of `bench_corpus`, the preset `tiny`. A peak is
the stage's own, as its manifest has it. Stages are to be flat in the corpus' size: for each the peak with `--times` as
much text over the peak with `--megabytes` is printed (`name ratio ratio ratio ≤reach`; less is better).
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.bench_corpus import write
from benchmarks.lines import costs
from flows import DEFAULTS  # the environment that the command sets

REACH = 1.25
STAGES = ("corpus", "tokens", "validation", "pretraining", "finetuning", "evaluation", "export")


def peaks(megabytes: int, batch_size: int) -> dict[str, float]:
    """MB of each stage of one run."""
    with TemporaryDirectory() as folder:
        text, home = Path(folder, "texts.txt"), Path(folder, "home")
        home.mkdir()
        write(text, megabytes)
        settings = {"pretrain.batch_size": batch_size, "finetune.batch_size": batch_size, "validation.mostly": 0}
        settings |= {"validation.min_kept_share": 0}
        told = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "flows.cli", "run", "--preset", "tiny", "--corpus", str(text)]
        environment = DEFAULTS | os.environ | {"PREFECT_HOME": str(home / "prefect"), "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run([*command, *told, "--home", str(home)], env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        found = (json.loads(path.read_text()) for path in home.glob("artifacts/*/*/manifest.json"))
        return {each["kind"]: each["about"]["peak_memory"] / 1e6 for each in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=25)
    parser.add_argument("--times", type=int, default=4)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128])
    given = parser.parse_args()
    usual, *others = given.batches
    points = [(given.megabytes, usual), (given.megabytes * given.times, usual)]
    points += [(given.megabytes, batch) for batch in others]
    print(f"| MB of text | batch | {' | '.join(STAGES)} |\n|---:|---:|{'---:|' * len(STAGES)}")
    found: list[dict[str, float]] = []
    for megabytes, batch in points:
        found.append(peaks(megabytes, batch))
        told = " | ".join(f"{found[-1][stage]:,.0f}" for stage in STAGES)
        print(f"| {megabytes} | {batch} | {told} |", flush=True)
    for stage in STAGES:
        costs(f"memory_{stage}_{given.times}x", [found[1][stage] / found[0][stage]], REACH)


if __name__ == "__main__":
    main()
