"""A whole protocol on 10,000 samples × 10,000 references, intervals included: seconds of each metric, and in total.

    python -m benchmarks.bench_protocol [--samples FILE --references FILE --train FILE] [--protocol X] [--threads 1 2]

Without files, texts are drawn from a Zipf law over 5,000 words. What several metrics share is booked on the first that
asks for it. Every number of threads gets a process of its own. Prints `protocol_seconds seconds seconds seconds ≤reach`
(`benchmarks.lines`), once for each number of threads.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.lines import costs
from flows import DEFAULTS  # the environment that the command sets

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
REACH = 60


def measure(samples: list[str], references: list[str], train: list[str], name: str) -> None:
    """Print each metric's wall and CPU seconds; the last line is the total."""
    begun, begun_cpu = time.perf_counter(), time.process_time()
    from gdcore.evaluation.evidence import Evidence
    from gdcore.evaluation.intervals import figures
    from gdcore.evaluation.judging import Judge
    from gdcore.evaluation.words import split
    from gdcore.plugins import load as load_plugin

    judge = Judge(references, train, name)
    protocol = judge.protocol
    units = split([text.lower() for text in samples] if protocol.lowercase else samples, judge.how)
    evidence = Evidence(units, judge.references, judge.train, seed=protocol.seed)
    wall, cpu = time.perf_counter(), time.process_time()
    print(f"  {'texts into words':22} {wall - begun:7.2f} s {cpu - begun_cpu:7.2f} s CPU")
    for metric, config in protocol.metrics.items():
        module = load_plugin("metrics", metric)
        figures(module.score(config, evidence), protocol.sampling)
        if hasattr(module, "exhibits"):
            module.exhibits(config, evidence)
        told = f"{time.perf_counter() - wall:7.2f} s {time.process_time() - cpu:7.2f} s CPU"
        print(f"  {metric:22} {told}")
        wall, cpu = time.perf_counter(), time.process_time()
    print(f"{time.perf_counter() - begun:.1f} {time.process_time() - begun_cpu:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for side in ("samples", "references", "train"):
        parser.add_argument(f"--{side}", type=Path, help="one text a line")
    parser.add_argument("--protocol", default="gdflow")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not args.here:
        for threads in args.threads:
            environment = DEFAULTS | os.environ | dict.fromkeys(THREADS, str(threads))
            command = [sys.executable, "-m", "benchmarks.bench_protocol", *sys.argv[1:], "--here"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            *lines, total = done.stdout.splitlines()
            wall, cpu = total.split()
            print(f"{threads} thread(s): {wall} s, {cpu} s CPU", *lines, sep="\n")
            costs(f"protocol_seconds_{threads}t", [float(wall)], REACH)
        return
    from benchmarks.bench_bleu import zipf_texts
    from gdcore.evaluation.text_files import read_texts

    texts = [
        read_texts(path) if path else [" ".join(words) for words in zipf_texts(10_000, seed)]
        for seed, path in enumerate((args.samples, args.references, args.train))
    ]
    measure(*texts, args.protocol)


if __name__ == "__main__":
    main()
