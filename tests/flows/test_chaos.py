"""Killed a hundred times and more, wherever the home is written to, a run ends as if nobody had touched it.

    pytest -m slow tests/flows/test_chaos.py --kills 100        (its figures: docs/log.md)

Each round starts on an empty home. A process is killed at a random one of its changes to the home, or by the clock
(`chaos_child`); a new one goes on and is killed in its turn, until one comes to the end. Rounds go on until there have
been enough kills, and some in every stage.
"""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_run import assignments, write_texts

from gdcore import runs
from gdcore.artifacts import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

CHILD = Path(__file__).parents[1] / "chaos_child.py"
SETTINGS = {"promotion.mode": "off"}
STAGES = ("corpus", "tokens", "validation", "pretraining", "finetuning", "evaluation", "export")
MOST_CHANGES = 90
"""Between two kills: a stage makes some ten, training a dozen a checkpoint."""
MOST_SHARE = 1.1
"""Of the time of an undisturbed run: by the clock, some come to the end."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One Prefect server for all rounds, so that a round is not spent on starting it."""
    from flows.up import alive, child, environment_of, free_port, wait

    folder = tmp_path_factory.mktemp("server")
    api = f"http://127.0.0.1:{free_port()}/api"
    environment = environment_of(api) | {"PREFECT_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port"]
    command.append(api.split(":")[2].partition("/")[0])
    with child(command, environment, folder / "log") as process:
        wait(lambda: alive(api), process, folder / "log")
        yield environment


def attempt(home: Path, texts: Path, when: str, environment: dict[str, str]) -> tuple[int, str]:
    """One process: how it ended, and the last that it said."""
    run = ["run", "--preset", "tiny", "--corpus", str(texts), "--home", str(home), "--json", *assignments(**SETTINGS)]
    command = [sys.executable, str(CHILD), when, str(home), "--", *run]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stderr[-2000:]


def contents(home: Path) -> dict[str, str]:
    return {name: line.ref.content for name, line in runs.find(home).refs.items()}


def whole(home: Path) -> str:
    """Nothing that stands under its name is half there; how far the store has come."""
    store = Store(home / "artifacts")
    assert store.complaints() == {}
    built = {each.ref.kind for each in store.all()}
    for draft in home.glob("runs/*/refs.json"):
        json.loads(draft.read_text())
    return next((stage for stage in STAGES if stage not in built), "the end")


def test_a_run_killed_anywhere_ends_as_if_nobody_had(
    tmp_path: Path, server: dict[str, str], request: pytest.FixtureRequest
) -> None:
    wanted = int(request.config.getoption("--kills"))
    texts = write_texts(tmp_path / "texts.txt")
    calm = tmp_path / "calm"
    calm.mkdir()
    start = time.monotonic()
    status, said = attempt(calm, texts, "never", server)
    seconds = time.monotonic() - start
    assert status == 0, said
    expected, counts = contents(calm), _counts(calm)
    draw, kills, rounds = random.Random(0), Counter[str](), 0
    while kills.total() < wanted or not kills.keys() >= set(STAGES):
        rounds += 1
        home = tmp_path / f"round{rounds}"
        home.mkdir()
        while True:
            # As many kills within the first few changes as within the next dozens: short stages are struck too.
            changes, share = round(MOST_CHANGES ** draw.random()), draw.uniform(0, MOST_SHARE)
            when = f"changes:{changes}" if draw.random() < 0.6 else f"seconds:{share * seconds:.2f}"
            status, said = attempt(home, texts, when, server)
            stage = whole(home)
            if status == 0:
                break
            assert status == -signal.SIGKILL, said
            kills[stage] += 1
        assert contents(home) == expected
        assert _counts(home) == counts
        left = [*home.glob("artifacts/.drafts/*"), *home.glob("artifacts/.work/*"), *home.glob("artifacts/.damaged/*")]
        assert left == []
        assert not [path for path in home.rglob("*") if path.name.endswith((".partial", ".draft"))]
    print(f"\n{kills.total()} kills in {rounds} rounds, by the stage under way: {dict(kills)}")


def _counts(home: Path) -> Any:
    found = runs.find(home).result
    assert found
    assert found["counts"]["read"] == found["counts"]["used"] + found["counts"]["quarantined"]
    return found["counts"]
