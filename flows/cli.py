"""The `gdflow` command. What a command needs is imported when it runs: `--help` is quick, `generate` needs no torch."""

import os
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer import Argument, Option

from flows import (
    bundle_cli,
    champion_cli,
    classify_cli,
    compare_cli,
    generate_cli,
    page_cli,
    score_cli,
    serve_cli,
    store_cli,
    track_cli,
)
from flows.console import Commands, Terminated, answer, quiet_stdout, settings, sigterm_raises
from flows.options import (
    HERE,
    NONE,
    Corpus,
    Home,
    Json,
    LabelColumn,
    Notices,
    Preset,
    PromptColumn,
    Seed,
    Set,
    Test,
    TextColumn,
    Train,
    Valid,
)
from gdcore.errors import UserError

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a folder of text to a deployed text generator.\n\nStart with: gdflow run",
)
app.add_typer(store_cli.app, name="store")
app.add_typer(bundle_cli.app, name="bundle")
app.command(epilog=generate_cli.EXAMPLES)(generate_cli.generate)
app.command(epilog=score_cli.EXAMPLES)(score_cli.score)
app.command(epilog=serve_cli.EXAMPLES)(serve_cli.serve)
app.command(epilog=page_cli.EXAMPLES)(page_cli.page)
app.command(epilog=classify_cli.EXAMPLES)(classify_cli.classify)
app.command(epilog=champion_cli.RELEASE_EXAMPLES)(champion_cli.release)
app.command(epilog=champion_cli.DRIFT_EXAMPLES)(champion_cli.drift)
app.command(epilog=compare_cli.EXAMPLES)(compare_cli.compare)
app.command(epilog=track_cli.EXAMPLES)(track_cli.log)


@app.command(
    epilog="""Examples:\n
    gdflow run\n
    gdflow run --preset tiny --corpus stories.txt --seed 3\n
    gdflow run --corpus answers.jsonl --text-column answer --prompt-column question\n
    gdflow run --preset coco --train train.txt --test test.txt --set finetune.steps=100 --json"""
)
def run(
    preset: Preset = "quickstart",
    corpus: Corpus = NONE,
    train: Train = NONE,
    valid: Valid = NONE,
    test: Test = NONE,
    text_column: TextColumn = None,
    prompt_column: PromptColumn = None,
    label_column: LabelColumn = None,
    set_: Set = NONE,
    seed: Seed = 0,
    latest: Annotated[bool, Option(help="Whether commands take this run when none is named.")] = True,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Run the whole pipeline: text in, a bundle that generates more of it out."""
    columns = {"text_column": text_column, "prompt_column": prompt_column, "label_column": label_column}
    files = {"paths": corpus, "train": train, "valid": valid, "test": test}
    from flows.presets import load_preset
    from flows.server import connected

    load_preset(preset)  # a misspelt one is told at once
    with quiet_stdout(), connected(home) as ready:
        from flows.parameters import checked

        parameters = checked(preset, files | columns, settings(set_), seed, home)
        from flows.train import train as train_flow

        ready()
        result = cast("dict[str, Any]", train_flow(**parameters, latest=latest))
    from flows.results import show_run

    answer(result, json, show_run)


@app.command(
    epilog="""Examples:\n
    gdflow validate --corpus stories.txt\n
    gdflow validate --corpus answers.jsonl --text-column answer --json"""
)
def validate(
    preset: Preset = "quickstart",
    corpus: Corpus = NONE,
    train: Train = NONE,
    valid: Valid = NONE,
    test: Test = NONE,
    text_column: TextColumn = None,
    prompt_column: PromptColumn = None,
    label_column: LabelColumn = None,
    set_: Set = NONE,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Read, tokenise and judge a corpus without training on it. Status 2 when a critical rule is broken."""
    columns = {"text_column": text_column, "prompt_column": prompt_column, "label_column": label_column}
    files = {"paths": corpus, "train": train, "valid": valid, "test": test}
    from flows.presets import load_preset
    from flows.server import connected

    load_preset(preset)  # a misspelt one is told at once
    with quiet_stdout(), connected(home) as ready:
        from flows.parameters import checked

        parameters = checked(preset, files | columns, settings(set_), 0, home)
        from flows.validate import check

        ready()
        result = cast("dict[str, Any]", check(**parameters))
    from flows.results import show_validation

    answer(result, json, show_validation)
    if not result["success"]:
        raise UserError(result["complaint"])


@app.command(
    epilog="""Examples:\n
    gdflow evaluate\n
    gdflow evaluate --run 20260102T030405Z_coco_ab12 --protocol texygen-paper\n
    gdflow evaluate --samples generated.txt --references test.txt --train train.txt --json

    gdflow evaluate --samples generated.jsonl.gz --references test.jsonl --label-column genre --out judged"""
)
def evaluate(
    samples: Annotated[Path | None, Option(help="Generated texts, one a line, or .jsonl; either also .gz.")] = None,
    references: Annotated[Path | None, Option(help="Real held-out texts, likewise.")] = None,
    train: Annotated[
        Path | None, Option(help="What the generator learnt from, likewise: for copies, and for real text's own row.")
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    out: Annotated[Path | None, Option(help="Folder to write evaluation.json and report.html to, for files.")] = None,
    run: Annotated[
        str | None, Option(help="Judge this run's models again instead of files; by default the latest.")
    ] = None,
    protocol: Annotated[
        str, Option(help="How to judge: one that `gdflow list protocols` names, or a YAML file.")
    ] = "gdflow",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Judge any two text files, or a run's models again, under a named protocol."""
    from flows.results import show_rows, show_texts

    if samples or references:
        if not (samples and references):
            raise UserError("--samples and --references go together: generated texts are judged against real ones.")
        if run:
            raise UserError("--run and --samples do not go together: a run is judged again, or two files are")
        from gdcore.evaluation import files as file_evaluation

        if out:
            file_evaluation.make(out)
        judged = file_evaluation.judge_files(samples, references, train, protocol, text_column, label_column)
        if out:
            file_evaluation.write(judged, out)
        answer(file_evaluation.summary(judged) | ({"out": str(out)} if out else {}), json, show_texts)
        return
    if train or text_column or label_column or out:
        raise UserError("--train, --text-column, --label-column and --out go with --samples and --references.")
    from flows.server import connected

    with quiet_stdout(), connected(home) as ready:
        from flows.evaluate import evaluate as evaluate_flow

        ready()
        result = evaluate_flow(run=run or "latest", protocol=protocol, home=home.absolute())
    answer(result, json, show_rows)


@app.command(
    epilog="""Examples:\n
    gdflow sweep objectives --train train.txt --test test.txt\n
    gdflow sweep my-plan.yaml --corpus stories.txt --workers 2 --out results.md"""
)
def sweep(
    plan: Annotated[str, Argument(help="A sweep's name, or a YAML file: systems × seeds.")] = "objectives",
    corpus: Corpus = NONE,
    train: Train = NONE,
    valid: Valid = NONE,
    test: Test = NONE,
    workers: Annotated[int, Option(min=1, help="Trials at a time; each gets its share of the processor.")] = 1,
    cluster: Annotated[
        str, Option(help="Address of a Dask scheduler whose workers see the same home; `local` makes one here.")
    ] = "",
    out: Annotated[
        Path | None, Option(help="Also write the table to this Markdown file, and the curves beside it.")
    ] = None,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Train and judge many systems with several seeds, and make one table. What is done already is reused."""
    from flows.plans import load_plan
    from flows.server import connected

    load_plan(plan)  # a mistake in it is told at once
    with quiet_stdout(), connected(home) as ready:
        from flows.parameters import from_root
        from flows.sweep import sweep as sweep_flow
        from gdcore.corpora.build import CorpusConfig, source_files
        from gdcore.explain import parsed

        files = {"paths": corpus, "train": train, "valid": valid, "test": test}
        given = parsed(CorpusConfig, from_root({name: value for name, value in files.items() if value}))
        if not given.packages:
            source_files(given)
        ready()
        table = out.absolute() if out else None
        result = sweep_flow(plan=plan, corpus=given, workers=workers, cluster=cluster, home=home.absolute(), out=table)
    answer(result, json, lambda result: typer.echo(Path(result["results"]).read_text("utf-8")))
    if result["failures"]:
        raise UserError(f"{len(result['failures'])} trials failed; the table says which, and why")


@app.command(
    epilog="""Examples:\n
    gdflow up\n
    gdflow up --port 4300 --home /data/gdflow"""
)
def up(
    host: Annotated[str, Option(help="Where the server listens; other machines are let in by a password alone.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, Option(min=1, max=65535, help="Of the server, when PREFECT_API_URL names none.")] = 4200,
    limit: Annotated[int, Option(min=1, help="Runs at a time on this machine.")] = 1,
    notices: Notices = None,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Start a Prefect server and a worker, deploy everything, say where to look. Ctrl-C stops what it started."""
    from flows import up as stack
    from flows.results import show_up

    api = os.environ.get("PREFECT_API_URL") or stack.address_of(host, port)
    try:
        with sigterm_raises(), stack.up(home.absolute(), api.rstrip("/"), limit, notices, host) as (state, processes):
            answer(state, json, show_up)
            stack.watch(processes)
    except (KeyboardInterrupt, Terminated):
        typer.echo("Stopped the server and the worker.", err=True)


@app.command(
    epilog="""Examples:\n
    gdflow deploy\n
    gdflow deploy --pool docker --home /data\n
    PREFECT_API_URL=https://prefect.example.org/api gdflow deploy --notices https://chat.example.org/hooks/1"""
)
def deploy(
    notices: Notices = None,
    pool: Annotated[str, Option(help="Where runs are done: process, docker or kubernetes.")] = "process",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Create or update work pool, deployments and automations on a server that is already running."""
    from flows import up as stack
    from flows.pools import KINDS
    from flows.results import show_deployed

    api = os.environ.get("PREFECT_API_URL") or stack.running(home.absolute())
    if not api or not stack.alive(api.rstrip("/")):
        where = f"at {api} (PREFECT_API_URL)" if api else "for this home"
        raise UserError(f"no Prefect server answers {where}. Start one (`gdflow up` does), or set PREFECT_API_URL.")
    if pool not in KINDS:
        raise UserError(f"no pools of the kind {pool!r}; there are {', '.join(KINDS)}")
    stack.let_in(api.rstrip("/"))
    stack.deploy(stack.environment_for(home.absolute(), api.rstrip("/")), notices, pool)
    answer({"api": api, "deployments": stack.deployment_names()}, json, show_deployed)


@app.command(epilog="Example: gdflow runs --json")
def runs(home: Home = HERE, json: Json = False) -> None:
    """List the runs of a home, newest first."""
    from flows.results import show_runs
    from gdcore import runs as folders
    from gdcore.artifacts import Store
    from gdcore.release.champion import wearing

    champions = wearing(Store(home.absolute() / "artifacts"))
    lines = []
    for each in folders.every(home):
        result = each.result or {}
        lines.append(
            {
                "run": each.name,
                "finished": bool(result),
                "stages": list(each.refs),
                "selected": result.get("selected"),
                "bundle": result.get("bundle"),
                "champion": champions.get(each.name, []),
            }
        )
    answer({"runs": lines}, json, show_runs)


@app.command("list", epilog="Example: gdflow list objectives")
def list_(kind: Annotated[str, Argument(help="What to name.")], home: Home = HERE, json: Json = False) -> None:
    """Name the generators, discriminators, objectives, metrics, presets, corpora, protocols or sweeps there are."""
    from flows.plans import plan_names
    from flows.presets import preset_names
    from gdcore import plugins
    from gdcore.evaluation.protocol import names as protocol_names

    def corpora() -> list[str]:
        """Those that have a card in `data/` (not part of a wheel), and the one that is always there."""
        return sorted({"docstrings", *(path.parent.name for path in plugins.HERE.parent.glob("data/*/corpus.toml"))})

    kinds = {
        name: lambda name=name: plugins.names(name)
        for name in ("generators", "discriminators", "objectives", "metrics")
    }
    kinds |= {"presets": preset_names, "corpora": corpora, "protocols": protocol_names, "sweeps": plan_names}
    if kind not in kinds:
        raise UserError(f"there is nothing of the kind {kind!r} to list; there are {', '.join(kinds)}")
    names = kinds[kind]()
    answer({"kind": kind, "names": names}, json, lambda result: typer.echo("\n".join(result["names"])))


if __name__ == "__main__":
    app()
