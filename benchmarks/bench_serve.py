"""The server under load: continuous batching beside one run of generate.onnx per request, in turns, over real sockets.

    python -m benchmarks.bench_serve --seconds 600 --out benchmarks/results/2026-11-28_serve.md

Both servers are processes of their own with the same HTTP layer; each is loaded for `--slice` seconds at a time, in
turns, so that what else the machine does strikes both. The model has random weights and never ends a text: clients ask
for 1 to 2 × `--length` − 1 tokens, the same of both servers, over connections that stay, without pause. Then, for each
concurrency, streams: until the first token, and until the last. Prints `serve_ratio ratio reach`, of tokens a second.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

REACH = 2.5
PERCENTILES = (50, 95, 99)


def make_bundle(out: Path, options: argparse.Namespace) -> None:
    """A word-level LSTM that nobody trained."""
    import torch
    from tokenizers import models

    from gdcore.export.bundle import graph_description
    from gdcore.export.decode import decode_model
    from gdcore.export.generation import generation_model
    from gdcore.export.scoring import scoring_model
    from gdcore.export.step import Step
    from gdcore.generators import lstm
    from gdcore.serving.manifest import write_manifest
    from gdcore.tokenizer import EOS, MARK, SPECIALS, UNK, Tokenizer, assemble

    torch.manual_seed(0)
    config = lstm.Config(embedding_dim=options.embedding_dim, hidden_dim=options.hidden_dim)
    generator = lstm.Generator(config, options.vocab_size, options.context).eval()
    with torch.no_grad():
        generator.output.bias[EOS] = -100
    step = Step(generator, 20)
    graphs = {"generate.onnx": generation_model, "decode.onnx": decode_model, "model.onnx": scoring_model}
    built = {name: make(step, 20) for name, make in graphs.items()}
    out.mkdir(parents=True)
    for name, model in built.items():
        (out / name).write_bytes(model.SerializeToString())
    words = [*SPECIALS, *(f"{MARK}w{i}" for i in range(options.vocab_size - len(SPECIALS)))]
    vocabulary = {word: i for i, word in enumerate(words)}
    backend = assemble("word", models.WordLevel(vocabulary, SPECIALS[UNK]), lowercase=False)
    Tokenizer(backend, {"kind": "word", "vocab_size": len(words)}).save(out)
    about: dict[str, Any] = {"vocab_size": len(words), "context": options.context, "prompted": False, "license": ""}
    write_manifest(out, about | {"graphs": {name: graph_description(model) for name, model in built.items()}})


def serve(bundle: Path, how: str) -> None:
    """In a process of its own: either server, on a free port, which it prints."""
    import socket

    from fastapi import FastAPI

    from gdcore.serving.app import create_app
    from gdcore.serving.limits import Limited, Limits
    from gdcore.serving.observing import Observed
    from gdcore.serving.running import server
    from gdcore.serving.schema import CompletionRequest
    from gdcore.serving.session import Session

    sys.setswitchinterval(0.0005)
    app, serving = create_app({"m": bundle}, Limits(queue=4096))
    if how == "one run":
        session, plain = Session(bundle), FastAPI()

        @plain.post("/v1/completions")
        def completions(asked: CompletionRequest) -> dict[str, Any]:
            texts = session.generate(asked.n, seed=asked.seed or 0, max_tokens=asked.max_tokens)
            wrote = sum(len(ids) for ids in session.tokenizer.encode(texts))
            return {"choices": [{"text": text} for text in texts], "usage": {"completion_tokens": wrote}}

        app = serving.observed = Observed(Limited(plain, serving.limits), serving.metrics)  # pyright: ignore
        serving.models._models = {}
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listening.getsockname()[1], flush=True)
    server(app, serving, "127.0.0.1", 0).run([listening])


class Server:
    """One of the two, started."""

    def __init__(self, bundle: Path, how: str) -> None:
        self.how = how
        command = [sys.executable, "-m", "benchmarks.bench_serve", "--serve", how, "--bundle", str(bundle)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    @property
    def resident(self) -> float:
        """MB of memory in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Result:
    """What clients saw."""

    def __init__(self) -> None:
        self.statuses, self.tokens = Counter[int | str](), 0
        self.seconds = self.cpu = 0.0
        self.whole: list[float] = []
        self.first: list[float] = []

    def told(self, values: list[float]) -> str:
        ordered = sorted(values) or [float("nan")]
        return " / ".join(f"{1e3 * ordered[min(len(ordered) - 1, len(ordered) * p // 100)]:.0f}" for p in PERCENTILES)

    @property
    def errors(self) -> int:
        return sum(number for status, number in self.statuses.items() if status != 200)


async def client(port: int, until: float, stream: bool, seed: int, length: int, result: Result) -> None:
    """Asks again and again over one connection, with no more Python than that takes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    while time.perf_counter() < until:
        seed += 1000
        asked = {"seed": seed, "stream": stream, "max_tokens": 1 + seed * 7919 % (2 * length - 1)}
        body = json.dumps(asked).encode()
        head = (
            f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        )
        begun = time.perf_counter()
        try:
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            result.statuses[int(answer.split(b" ", 2)[1])] += 1
            if stream:
                await reader.readuntil(b"data: ")
                result.first.append(time.perf_counter() - begun)
                await reader.readuntil(b"0\r\n\r\n")
            else:
                size = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                told = json.loads(await reader.readexactly(size))
                result.tokens += told["usage"]["completion_tokens"]  # not in one: `+=` looks before it waits
            result.whole.append(time.perf_counter() - begun)
        except (OSError, EOFError, LookupError) as error:
            result.statuses[type(error).__name__] += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.close()


def load(server: Server, clients: int, seconds: float, stream: bool, length: int, result: Result) -> None:
    """So many clients at a time, for so long."""

    async def together() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(client(server.port, until, stream, i, length, result) for i in range(clients)))

    begun, spent = time.perf_counter(), server.cpu
    asyncio.run(together())
    result.seconds += time.perf_counter() - begun
    result.cpu += server.cpu - spent


def measure(bundle: Path, options: argparse.Namespace) -> list[str]:
    """Both servers in turns, then streams; the lines of the report."""
    ours, theirs = Server(bundle, "continuous batching"), Server(bundle, "one run")
    results = {server.how: Result() for server in (ours, theirs)}
    try:
        for server in (ours, theirs):
            load(server, options.clients, 2, False, options.length, Result())  # warm
        before = ours.resident
        rounds = max(1, round(options.seconds / options.slice / 2))
        ratios = []
        for _ in range(rounds):
            rates = []
            for server in (ours, theirs):
                part = Result()
                load(server, options.clients, options.slice, False, options.length, part)
                whole = results[server.how]
                whole.statuses += part.statuses
                whole.tokens, whole.seconds = whole.tokens + part.tokens, whole.seconds + part.seconds
                whole.whole, whole.cpu = whole.whole + part.whole, whole.cpu + part.cpu
                rates.append(part.tokens / part.seconds)
            ratios.append(rates[0] / rates[1])
        after = ours.resident
        lines = [
            f"{options.clients} clients, {rounds} rounds of {options.slice:g} s each.",
            "",
            "| | requests/s | tokens/s | tokens per CPU-second | ms per request, p50 / p95 / p99 | errors |",
            "|---|---|---|---|---|---|",
        ]
        for how, result in results.items():
            figures = [len(result.whole) / result.seconds, result.tokens / result.seconds, result.tokens / result.cpu]
            told = " | ".join(f"{figure:,.0f}" for figure in figures)
            lines.append(f"| {how} | {told} | {result.told(result.whole)} | {result.errors} |")
        ratio = sorted(ratios)[len(ratios) // 2]
        ours_cpu, theirs_cpu = (result.tokens / result.cpu for result in results.values())
        lines += ["", f"Ratio {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f}) by the clock; reach {REACH}."]
        lines += [f"Ratio {ours_cpu / theirs_cpu:.2f} by the servers' processor time."]
        lines += [f"Memory of the server: {before:.0f} MB after warming up, {after:.0f} MB at the end.", ""]
        lines += ["| streams at a time | ms to the first token, p50 / p95 / p99 | ms to the last | errors |"]
        lines += ["|---|---|---|---|"]
        for clients in options.concurrency:
            result = Result()
            load(ours, clients, options.slice, True, options.length, result)
            lines.append(f"| {clients} | {result.told(result.first)} | {result.told(result.whole)} | {result.errors} |")
        lines += ["", f"serve_ratio {ratio:.2f} {REACH}"]
        return lines
    finally:
        for server in (ours, theirs):
            server.process.terminate()
            server.process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of load, both servers together")
    parser.add_argument("--slice", type=float, default=5, help="seconds of load at a time")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--bundle", type=Path, help="instead of a model of random weights")
    parser.add_argument("--vocab-size", type=int, default=5000)
    parser.add_argument("--embedding-dim", type=int, default=128)
    parser.add_argument("--hidden-dim", type=int, default=512)
    parser.add_argument("--length", type=int, default=32, help="tokens of a text, on average")
    parser.add_argument("--context", type=int, default=80)
    parser.add_argument("--out", type=Path, help="a Markdown file for the result")
    parser.add_argument("--serve", choices=["continuous batching", "one run"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.bundle, options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        if not (bundle := options.bundle):
            make_bundle(bundle := Path(folder) / "bundle", options)
        lines = measure(bundle, options)
    told = f"LSTM {options.embedding_dim}/{options.hidden_dim}, vocabulary {options.vocab_size}"
    about = f"{options.bundle or told}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end."
    print(about, *lines, sep="\n")
    if options.out:
        command = f"python -m benchmarks.bench_serve {' '.join(sys.argv[1:])}"
        head = [f"# The server, {time.strftime('%Y-%m-%d')}", "", "```", command, "```", "", about]
        options.out.write_text("\n".join([*head, *lines[:-2]]) + "\n", "utf-8")


if __name__ == "__main__":
    main()
