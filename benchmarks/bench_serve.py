"""Continuous batching beside one run of generate.onnx per request: the server under load, over real sockets.

    python -m benchmarks.bench_serve --rounds 15 --out benchmarks/results/2026-11-28_serve.md

Both servers are processes of their own with the same HTTP layer; each is loaded for `--slice` seconds at a time, in
turns, so that what else the machine does strikes both. The clients have a core of their own and the server the others:
what they take would else be taken from whichever server leaves more of the machine idle. The model has random
weights and never ends a text: clients ask for 1 to 2 × `--length` − 1 tokens, the same of both servers, over
connections that stay, without pause. Races by the clock and by the servers' processor time, in tokens a second:
`name ratio lowest highest ≥reach` (`benchmarks.racing`).
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.racing import Pace, tell
from benchmarks.served import Server, about, add_model_options, make_bundle

OURS, THEIRS = "continuous batching", "one run"
REACH = 2.5
PERCENTILES = (50, 95, 99)
CORES = sorted(os.sched_getaffinity(0))


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

    os.sched_setaffinity(0, CORES[:-1] or CORES)
    sys.setswitchinterval(0.0005)
    app, serving = create_app({"m": bundle}, Limits(queue=4096))
    if how == THEIRS:
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


class Load:
    """What clients saw of one server in one turn, and what it took of the processor."""

    def __init__(self) -> None:
        self.statuses, self.tokens, self.waits = Counter[int | str](), 0, list[float]()
        self.seconds = self.cpu = 0.0


async def client(port: int, until: float, seed: int, length: int, load: Load) -> None:
    """Asks again and again over one connection, with no more Python than that takes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    while time.perf_counter() < until:
        seed += 1000
        body = json.dumps({"seed": seed, "max_tokens": 1 + seed * 7919 % (2 * length - 1)}).encode()
        head = (
            f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        )
        begun = time.perf_counter()
        try:
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            size = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            told = json.loads(await reader.readexactly(size))
            load.statuses[int(answer.split(b" ", 2)[1])] += 1
            load.tokens += told["usage"]["completion_tokens"]  # `+= await …` would look before it waits, and forget
            load.waits.append(time.perf_counter() - begun)
        except (OSError, EOFError, LookupError) as error:
            load.statuses[type(error).__name__] += 1
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.close()


def loaded(server: Server, clients: int, seconds: float, first: int, length: int) -> Load:
    """So many clients at a time, for so long; `first` is where their seeds begin."""
    load = Load()

    async def together() -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(client(int(server.said), until, first + i, length, load) for i in range(clients)))

    begun, spent = time.perf_counter(), server.cpu
    asyncio.run(together())
    load.seconds, load.cpu = time.perf_counter() - begun, server.cpu - spent
    return load


def told(how: str, loads: list[Load]) -> str:
    """A row of the table."""
    waits = sorted(wait for load in loads for wait in load.waits)
    seconds, cpu, tokens = (sum(getattr(load, name) for load in loads) for name in ("seconds", "cpu", "tokens"))
    errors = sum(number for load in loads for status, number in load.statuses.items() if status != 200)
    waited = " / ".join(f"{1e3 * waits[min(len(waits) - 1, len(waits) * p // 100)]:.0f}" for p in PERCENTILES)
    figures = f"{len(waits) / seconds:,.0f} | {tokens / seconds:,.0f} | {tokens / cpu:,.0f}"
    return f"| {how} | {figures} | {waited} | {errors} |"


def race(bundle: Path, options: argparse.Namespace) -> None:
    """Both servers in turns; prints the report."""
    command = [sys.executable, "-m", "benchmarks.bench_serve", "--bundle", str(bundle), "--serve"]
    with ExitStack() as stack:
        servers = {how: stack.enter_context(Server([*command, how])) for how in (OURS, THEIRS)}
        os.sched_setaffinity(0, CORES[-1:])
        loads: dict[str, list[Load]] = {how: [] for how in servers}
        for turn in range(options.rounds + 1):
            for how, server in servers.items():
                # Both are asked for the same texts, a turn's others than the one's before it.
                loads[how].append(loaded(server, options.clients, options.slice, 64_000 * turn, options.length))
        loads = {how: each[1:] for how, each in loads.items()}  # the first warms up
    print(f"{options.clients} clients, {options.rounds} turns of {options.slice:g} s each.\n")
    print("| | requests/s | tokens/s | tokens per CPU-second | ms per request, p50 / p95 / p99 | errors |")
    print("|---|---|---|---|---|---|")
    for how, each in loads.items():
        print(told(how, each))
    print("\n```")
    for name, by in (("serve", "seconds"), ("serve_cpu", "cpu")):
        paces = (Pace([load.tokens / getattr(load, by) for load in loads[how]]) for how in (OURS, THEIRS))
        tell(name, "tokens", *paces, REACH)
    print("```")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each server that count")
    parser.add_argument("--slice", type=float, default=5, help="seconds of a turn")
    parser.add_argument("--clients", type=int, default=64)
    add_model_options(parser)
    parser.add_argument("--out", type=Path, help="a Markdown file for the result")
    parser.add_argument("--serve", choices=[OURS, THEIRS], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.bundle, options.serve)
        return
    report = StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(report):
        before = os.getloadavg()[0]
        if not (bundle := options.bundle):
            make_bundle(bundle := Path(folder) / "bundle", options)
        race(bundle, options)
    command = f"python -m benchmarks.bench_serve {' '.join(sys.argv[1:])}"
    head = f"{about(options)}; load {before:.1f} before, {os.getloadavg()[0]:.1f} at the end."
    text = f"# Continuous batching, {time.strftime('%Y-%m-%d')}\n\n```\n{command}\n```\n\n{head}\n\n{report.getvalue()}"
    print(text)
    if options.out:
        options.out.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
