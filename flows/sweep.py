"""Many systems, several seeds: trained, judged alike, and one table made of it."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL
from pydantic import Field

from flows.clusters import killed, runner
from flows.hooks import TELLING
from flows.parameters import chosen_source
from flows.plans import Plan, load_plan
from flows.presets import resolve
from flows.up import environment_of
from gdcore import runs
from gdcore.corpora.config import CorpusConfig
from gdcore.errors import UserError
from gdcore.processes import die_with_parent
from gdcore.report import results
from tasks import show
from tasks.stage import transient

log = logging.getLogger(__name__)
STOP = "stop"
"""A file in the sweep's folder once it is told to stop: threads, and other machines, hear of no signal."""
LOOK_SECONDS = 1.0
"""How often a trial looks for it."""


@task(
    name="trial",
    task_run_name="{system} · seed {seed}",
    retries=2,
    retry_condition_fn=transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def trial(
    system: str, preset: str, seed: int, settings: dict[str, Any], home: Path, workers: int, sweep: str
) -> results.Trial:
    """One run in a process of its own, so that its memory can be told and its end does not end the others.

    Raises ChildProcessError where somebody kills it: begun again, it goes on from its last checkpoint. What it says of
    itself and its input, by ending with a status, would be the same the second time.
    """
    stop = home / "runs" / sweep / STOP
    threads = max(1, (os.cpu_count() or 1) // workers)
    command = [sys.executable, "-m", "flows.cli", "run", "--preset", preset, "--seed", str(seed)]
    command += ["--no-latest", "--home", str(home), "--json"]
    for key, value in settings.items():
        command += ["--set", f"{key}={json.dumps(value)}"]
    environment = environment_of(PREFECT_API_URL.value() or "") | {"OMP_NUM_THREADS": str(threads)}
    if stop.exists():
        return results.Trial(system=system, seed=seed, failure="stopped before it began")
    log.info("%s, seed %d: begun", system, seed)
    start = time.monotonic()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # Not SIGTERM: of that it would try for minutes to tell a server that may be gone too. Its checkpoints are kept.
    pipes["preexec_fn"] = lambda: die_with_parent(signal.SIGKILL)
    with subprocess.Popen(command, env=environment, text=True, **pipes) as child:
        out, said = _ended(child, stop)
    if child.returncode < 0 and not stop.exists():
        log.warning("%s, seed %d: killed by signal %d", system, seed, -child.returncode)
        raise ChildProcessError(
            f"its process was ended by signal {-child.returncode} ({signal.strsignal(-child.returncode)}). Where memory"
            " ran out, give fewer --workers; the same command goes on from what it had built."
        )
    if child.returncode:
        last = (said.strip().splitlines() or ["it said nothing"])[-1]
        log.warning("%s, seed %d: failed: %s", system, seed, last)
        return results.Trial(system=system, seed=seed, failure=last)
    log.info("%s, seed %d: done in %.0f s", system, seed, time.monotonic() - start)
    return results.Trial(system=system, seed=seed, run=json.loads(out)["run"])


def _ended(child: subprocess.Popen[str], stop: Path) -> tuple[str, str]:
    """What a trial's process says until it ends; one that is told to stop keeps its checkpoints, and does."""
    told = False
    while True:
        try:
            return child.communicate(timeout=LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.exists() and not told:
                child.terminate()
                told = True


def _result(system: str, seed: int, submitted: PrefectFuture[results.Trial]) -> results.Trial:
    """What came of a trial; one that was killed once too often has failed, and the others are none the worse for it."""
    try:
        return submitted.result()
    except killed() as error:
        log.warning("%s, seed %d: failed: %s", system, seed, error)
        return results.Trial(system=system, seed=seed, failure=str(error))


def _rehearse(plan: Plan) -> None:
    """Put the players of every system together once. Raises UserError: at once, not when the first hours are over."""
    from gdcore.training.rehearsal import rehearse

    for system in plan.systems:
        config = resolve(plan.preset, plan.overrides(system))
        try:
            rehearse(config.generator, config.discriminator, config.objective)
        except UserError as error:
            raise UserError(f"system {system!r}: {error}") from error


def run_name() -> str:
    """The plan's name."""
    return f"sweep · {Path(flow_run.parameters['plan']).stem}"


@flow(name="sweep", flow_run_name=run_name, persist_result=False, **TELLING)
def sweep(
    plan: str = "objectives",
    corpus: CorpusConfig = CorpusConfig(),  # noqa: B008  (frozen)
    workers: Annotated[int, Field(ge=1)] = 1,
    cluster: str = "",
    home: Path = Path(),
    out: Path | None = None,
) -> dict[str, Any]:
    """Train and judge every system of a plan with every seed; stages that two of them share are built once.

    Args:
        plan: Its name, or a YAML file.
        corpus: Your own text; left as it is, the preset's corpus.
        workers: Trials at a time on a machine; each gets its share of the processor.
        cluster: Address of a Dask scheduler whose workers see the same home (tcp://host:8786), or `local` for one here;
            left empty, threads of this process. A trial that is killed is begun again, on another worker if need be.
        home: The folder that holds artifacts/ and runs/, seen from where the worker works.
        out: A Markdown file for the table; the curves of fine-tuning go into a folder of its name beside it.
    """
    on = runner(cluster, workers)
    planned = load_plan(plan)
    _rehearse(planned)
    if out:  # before the hours, not after them
        out.parent.mkdir(parents=True, exist_ok=True)
    given = chosen_source(corpus.model_dump(mode="json", exclude_defaults=True))
    # A trial is no candidate for release.
    common = {f"corpus.{key}": value for key, value in given.items()} | {"promotion.mode": "off"}
    systems = {system: common | planned.overrides(system) for system in planned.systems}
    run = runs.start(home, f"sweep-{Path(plan).stem}", planned.model_dump(mode="json"))
    logging.getLogger("flows").setLevel(logging.INFO)
    log.info("%d systems × %d seeds, %d at a time: %s", len(planned.systems), len(planned.seeds), workers, run.folder)
    every = {"preset": planned.preset, "home": home.absolute(), "workers": workers, "sweep": run.name}
    # A runner of its own: the flow's is decided before its parameters are known.
    with on:
        waiting = [
            (system, seed, on.submit(trial, every | {"system": system, "seed": seed, "settings": settings}))
            for seed in planned.seeds
            for system, settings in systems.items()
        ]
        try:
            trials = [_result(*each) for each in waiting]
        except BaseException:
            (run.folder / STOP).touch()
            raise
    table = results.tabulate(planned.about, trials)
    (run.folder / "results.json").write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", "utf-8")
    pictures = results.fine_tuning_curves(trials)
    for path in filter(None, (run.folder / "results.md", out)):
        results.write(path, table, pictures)
    show.markdown("results", results.markdown(table), planned.about)
    result = {"run": str(run.folder), "results": str(run.folder / "results.md"), **table}
    run.finish(result, latest=False)
    return result
