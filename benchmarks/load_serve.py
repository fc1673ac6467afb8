"""`gdflow serve` under locust's load: how long clients wait, how many fail, what becomes of the memory.

    python -m benchmarks.load_serve --locust bin/locust --minutes 10 --out benchmarks/results/2026-11-28_load

Some clients at a time, then more, for `--seconds` each, and the most for `--minutes`, all of one server. What is
measured stays in the folder `--work`: called again, only what lacks is measured. Writes a report (`.md`) and two
pictures beside it; ends with status 1 if a request failed. locust is PyPI's package of that name, in an environment of
its own. Its percentiles have two digits.
"""

import argparse
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

from benchmarks.served import Server, about, add_model_options, make_bundle
from gdcore.report.svg import Point, Series, chart, standalone

PERCENTILES = (50, 95, 99)
KINDS = {"first token": "adv", "stream": "mle", "whole": "real"}
WARM = 60.0
"""Seconds after which memory is expected to stay what it is."""


def load(locust: Path, server: Server, clients: int, seconds: float, length: int) -> dict[str, Any]:
    """What locust and /proc say of so many clients, for so long."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stats.json"
        url, run = json.loads(server.said)["url"], f"-u {clients} -r {clients} -t {seconds:.0f}s".split()
        command = [locust, "-f", "benchmarks/locustfile.py", "--headless", "--only-summary", "-L", "ERROR", *run]
        command += ["-H", url, "--json-file", out.with_suffix("")]  # locust puts the suffix behind it
        environment = {**os.environ, "LOAD_LENGTH": str(length)}
        environment.pop("PYTHONPATH", None)
        before, begun, memory = os.getloadavg()[0], time.monotonic(), list[tuple[float, float]]()
        with subprocess.Popen([str(part) for part in command], env=environment, stdout=subprocess.DEVNULL) as running:
            while running.poll() is None:
                memory.append((time.monotonic() - begun, server.resident))
                time.sleep(1)
        if not out.is_file():
            sys.exit("locust ended without figures; it says why above")
        stats = json.loads(out.read_text())
    kinds = {each["name"]: each for each in stats}
    seconds = max(each["last_request_timestamp"] - each["start_time"] for each in stats)  # locust counts its start, too
    return {
        "clients": clients,
        "seconds": seconds,
        "requests": sum(kinds[name]["num_requests"] for name in ("stream", "whole")),
        "failures": sum(each["num_failures"] for each in stats),
        "waits": {name: percentiles(each["response_times"]) for name, each in kinds.items()},
        "memory": memory,
        "load": [before, os.getloadavg()[0]],
    }


def percentiles(times: dict[str, int]) -> list[float]:
    """Of milliseconds and how often each was met."""
    waits = sorted(Counter({float(wait): number for wait, number in times.items()}).elements())
    return [waits[min(len(waits) - 1, len(waits) * p // 100)] for p in PERCENTILES]


def waits_chart(loads: list[dict[str, Any]]) -> str:
    lines = [
        Series(
            name if i == 0 else "", colour, [Point(each["clients"], each["waits"][name][i]) for each in loads], dash=i
        )
        for name, colour in KINDS.items()
        for i in range(len(PERCENTILES))
    ]
    return standalone(
        chart(
            lines,
            title="How long clients wait",
            x_label="clients at a time",
            y_label="milliseconds",
            dashes=[f"p{p}" for p in PERCENTILES],
        )
    )


def memory_chart(load: dict[str, Any]) -> str:
    points = [Point(seconds / 60, size) for seconds, size in load["memory"]]
    line = Series("", "adv", points, marks=False)
    title = f"The server's memory, {load['clients']} clients"
    return standalone(chart([line], title=title, x_label="minutes", y_label="MB", height=240))


def report(loads: list[dict[str, Any]], options: argparse.Namespace) -> str:
    """Markdown."""
    command = f"python -m benchmarks.load_serve {' '.join(sys.argv[1:])}"
    lines = [f"# The server under load, {time.strftime('%Y-%m-%d')}", "", "```", command, "```", ""]
    lines += [f"{about(options)}; locust on the same machine. Texts of 1 to {2 * options.length - 1} tokens.", ""]
    lines += [
        "| clients | seconds | requests | a second | failed | ms to the first token, p50 / p95 / p99 "
        "| to a stream's end | whole | load |"
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for each in loads:
        waits = " | ".join(" / ".join(f"{wait:.0f}" for wait in each["waits"][name]) for name in KINDS)
        rate = f"{each['requests']:,} | {each['requests'] / each['seconds']:.1f} | {each['failures']}"
        busy = " → ".join(f"{load:.1f}" for load in each["load"])
        lines.append(f"| {each['clients']} | {each['seconds']:.0f} | {rate} | {waits} | {busy} |")
    most, name = loads[-1], options.out.name
    warm = next((size for seconds, size in most["memory"] if seconds >= WARM), most["memory"][-1][1])
    sizes = (
        f"{warm:.0f} MB a minute after the {most['clients']} clients came, {most['memory'][-1][1]:.0f} MB at the end"
    )
    lines += ["", f"Memory of the server: {sizes}.", "", f"![waits]({name}.svg)", f"![memory]({name}-memory.svg)", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--locust", type=Path, required=True, help="the command, in an environment that has it")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64], help="at a time")
    parser.add_argument("--seconds", type=float, default=30, help="of each load but the last")
    parser.add_argument("--minutes", type=float, default=0.5, help="of the last")
    add_model_options(parser)
    parser.add_argument("--work", type=Path, help="a folder for what is measured, to go on later")
    parser.add_argument("--out", type=Path, required=True, help="where the report goes, without a suffix")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder) / "work"
        work.mkdir(parents=True, exist_ok=True)
        if not (bundle := options.bundle):
            make_bundle(bundle := Path(folder) / "bundle", options)
        loads: list[dict[str, Any]] = []
        with Server(
            [sys.executable, "-m", "flows.cli", "serve", "--bundle", str(bundle), "--port", "0", "--json"]
        ) as server:
            for clients in options.clients:
                seconds = 60 * options.minutes if clients == options.clients[-1] else options.seconds
                measured = work / f"{clients}.json"
                if not measured.is_file():
                    measured.write_text(json.dumps(load(options.locust, server, clients, seconds, options.length)))
                loads.append(json.loads(measured.read_text()))
    text = report(loads, options)
    options.out.with_suffix(".md").write_text(text, "utf-8")
    options.out.with_suffix(".svg").write_text(waits_chart(loads), "utf-8")
    options.out.with_name(f"{options.out.name}-memory.svg").write_text(memory_chart(loads[-1]), "utf-8")
    print(text)
    sys.exit(any(each["failures"] for each in loads))


if __name__ == "__main__":
    main()
