"""Text of a given size through the corpus stage, and on through tokens and validation: MB/s and peak memory per format.

    python -m benchmarks.bench_corpus [--megabytes 200] [--formats .txt .csv.gz …] [--stages corpus tokens validation]
        [--similarity 0.9]

The text is made on the spot, the same on every machine: words of a Zipf law over 50,000 made-up ones, 3 to 30 a text,
one text in twenty a repetition of an earlier one, one in a thousand with a mail address, one in a hundred not ASCII.
MB are those of the text, before it is packed; each format and each number of megabytes has processes of its own, one
per stage, so that a peak is a stage's own.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows import DEFAULTS  # noqa: F401  (the environment that the command sets)

FORMATS = (".txt", ".txt.gz", ".txt.zst", ".jsonl", ".jsonl.zst", ".csv", ".csv.gz", ".parquet")
STAGES = ("corpus", "tokens", "validation")
BLOCK = 50_000  # texts
MB = 1_000_000


def texts(megabytes: int) -> Iterator[list[str]]:
    """Blocks of texts, so many megabytes of them with their line ends."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    chances = 1 / np.arange(1, 27)
    words = ["".join(rng.choice(letters, n, p=chances / chances.sum())) for n in rng.integers(2, 11, 50_000)]
    zipf = np.cumsum(1 / np.arange(1, len(words) + 1))
    left, earlier = megabytes * MB, list[str]()
    while left > 0:
        lengths = rng.integers(3, 31, BLOCK)
        drawn = np.searchsorted(zipf, rng.random(int(lengths.sum())) * zipf[-1]).tolist()
        ends = np.cumsum(lengths).tolist()
        block = [
            " ".join([words[i] for i in drawn[end - n : end]]) for end, n in zip(ends, lengths.tolist(), strict=True)
        ]
        for i in range(0, BLOCK, 1_000):
            block[i] += f" write to {words[drawn[i]]}@example.org"
        for i in range(50, BLOCK, 100):
            block[i] += " größer 猫"
        if earlier:
            block[10::20] = earlier[10::20]
        earlier = block
        left -= sum(map(len, block)) + len(block) + 10 * (BLOCK // 100)
        yield block


def write(path: Path, megabytes: int) -> None:
    """The texts as a file of the kind that its name says."""
    kind = path.name.removesuffix(".gz").removesuffix(".zst").rpartition(".")[2]
    if kind == "parquet":
        schema = pa.schema([("id", pa.int64()), ("text", pa.string())])
        with pq.ParquetWriter(path, schema) as table:
            for i, block in enumerate(texts(megabytes)):
                table.write_table(pa.table({"id": np.arange(len(block)) + i * BLOCK, "text": block}, schema))
        return
    row: Callable[[str], str] = {
        "txt": lambda text: f"{text}\n",
        "jsonl": lambda text: json.dumps({"id": 1, "text": text}, ensure_ascii=False) + "\n",
        "csv": lambda text: f'1,"{text}"\n',
    }[kind]
    with packing(path) as file:
        file.write(b"id,text\n" if kind == "csv" else b"")
        for block in texts(megabytes):
            file.write("".join(map(row, block)).encode())


def packing(path: Path) -> AbstractContextManager[Any]:
    """The file, open for writing, packed as its name says."""
    if path.suffix == ".gz":
        return gzip.open(path, "wb", compresslevel=1)
    return pa.output_stream(path, compression="zstd" if path.suffix == ".zst" else None)


def stage(name: str, path: Path, out: Path, similarity: float | None) -> None:
    """Run one stage in this process; print its seconds, CPU seconds and peak memory, and the counts of its summary."""
    from gdcore.memory import peak

    begun, begun_cpu = time.perf_counter(), time.process_time()
    if name == "corpus":
        from gdcore.corpora.build import CorpusConfig, build_corpus

        steps = build_corpus(CorpusConfig(paths=(str(path),)), out / "corpus")
    elif name == "tokens":
        from gdcore.tokens import TokenizerConfig, build_tokens

        steps = build_tokens(TokenizerConfig(), out / "corpus", out / "tokens")
    else:
        from gdcore.facts import ValidationConfig
        from tasks.expectations.judge import validate

        config = ValidationConfig(mostly=0, min_kept_share=0, similarity=similarity)
        steps = validate(config, out / "corpus", out / "tokens", 64, 64, out / "validation")
    most, during, note = 0, "", "at its beginning"
    for progress in steps:
        if peak() > 1.05 * most:
            most, during = peak(), note
        note = progress.note or note
    seconds, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
    print(
        json.dumps(
            {"seconds": seconds, "cpu": cpu, "peak": peak(), "during": during if peak() <= 1.05 * most else note}
        )
    )


def main() -> None:
    """Make, measure, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--stages", nargs="+", default=["corpus"], choices=STAGES)
    parser.add_argument("--similarity", type=float, help="of validation; texts are not compared by MinHash without")
    parser.add_argument("--folder", type=Path, default=None, help="where there is room; a temporary folder otherwise")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        stage(given.one[0], Path(given.one[1]), Path(given.one[2]), given.similarity)
        return
    print(f"{'format':12} {'stage':10} {'file MB':>8} {'MB/s':>7} {'MB per CPU s':>12} {'peak MiB':>9} during")
    for kind in given.formats:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            path = Path(folder, f"texts{kind}")
            write(path, given.megabytes)
            for name in STAGES[: STAGES.index(given.stages[-1]) + 1]:
                command = [sys.executable, "-m", "benchmarks.bench_corpus", "--one", name, str(path), folder]
                command += ["--similarity", str(given.similarity)] if given.similarity else []
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    sys.exit(done.stderr)
                cost = json.loads(done.stdout.splitlines()[-1])
                speeds = f"{given.megabytes / cost['seconds']:7.1f} {given.megabytes / cost['cpu']:12.1f}"
                memory = f"{cost['peak'] / 2**20:9.0f} {cost['during']}"
                print(f"{kind:12} {name:10} {path.stat().st_size / MB:8.0f} {speeds} {memory}", flush=True)


if __name__ == "__main__":
    main()
