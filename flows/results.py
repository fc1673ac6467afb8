"""What a person reads on the terminal when a command is done."""

import shutil
import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.console import size
from gdcore.report import table as tables
from gdcore.report import wording

Result = dict[str, Any]


def show_run(result: Result) -> None:
    """The table, samples, the verdict, and where to go from here."""
    from rich.console import Group

    evaluation = _evaluation(result)
    console = Console()
    console.print(Group(tables.render(evaluation), tables.render_samples(evaluation)))
    _cautions(console, list(wording.main_rows(result).values()))
    console.print(f"\n[bold]Selected: {result['selected']}.[/] {escape(result['reason'])}")
    counts = result["counts"]
    console.print(f"Texts: {counts['read']:,} read = {counts['used']:,} used + {counts['quarantined']:,} quarantined.")
    console.print(f"Tokens: {escape(result['tokens'])}.")
    console.print(promoted(result["promotion"]))
    asking = ' --prompt "TEXT"' if result["prompted"] else ""
    _lines(
        console,
        {
            "Report": result["report"],
            "Bundle": result["bundle"],
            "Generate": f"{_command()} generate --bundle {result['bundle']} --num 5 --seed 1" + asking,
            "See it in the UI": f"{_command()} up",
            **({} if result["own_text"] else {"Your own text": f"{_command()} run --corpus FILE_OR_FOLDER"}),
        },
    )


def _command() -> str:
    """How this program is started from here: by its name where the shell finds it, else by its path."""
    return "gdflow" if shutil.which("gdflow") else sys.argv[0]


def promoted(promotion: Result) -> str:
    """What became of the challenger, in a line."""
    name, run = escape(promotion["name"]), escape(str(promotion["champion"]))
    head = {
        "promoted": f"[bold]{name.capitalize()}: this run's model, from now on.[/]",
        "approved": f"[bold]{name.capitalize()}: this run's model, from now on.[/]",
        "off": "",
    }.get(promotion["outcome"], f"{name.capitalize()}: {run if promotion['champion'] else 'none'}, as before.")
    return f"{head} {escape(promotion['reason'])}".strip()


def _cautions(console: Console, rows: list[Result]) -> None:
    """What warns about figures that were shown."""
    for warning in wording.cautioned(rows):
        console.print(f"Note: {escape(warning)}")


def show_rows(result: Result) -> None:
    """A run judged again."""
    console = Console()
    console.print(tables.render(_evaluation(result)))
    _cautions(console, list(wording.main_rows(result).values()))
    _lines(console, {"Report": result["report"]})


def show_texts(result: Result) -> None:
    """Two text files, one held to the other."""
    from gdcore.report import file_table

    console = Console()
    console.print(file_table.render(result))
    for table in filter(None, (file_table.render_labels(result), *file_table.render_exhibits(result))):
        console.print(table)
    _cautions(console, result["rows"])
    if "out" in result:
        _lines(console, {name: f"{result['out']}/{name}" for name in ("evaluation.json", "report.html")})


def show_validation(result: Result) -> None:
    """Every rule with its verdict, and where the quarantine lies."""
    console = Console()
    lines = Table("suite")
    lines.add_column("rule", no_wrap=True)  # whole, so that it can be looked up
    for heading in ("severity", "verdict", "observed", "threshold", "texts"):
        lines.add_column(heading, overflow="fold")
    for suite in result["suites"]:
        for rule in suite["results"]:
            verdict = "[green]kept[/]" if rule["success"] else "[red]broken[/]"
            cells = (suite["name"], rule["rule"], rule["severity"])
            numbers = (rule["observed"], rule["threshold"], rule["unexpected_count"])
            lines.add_row(*cells, verdict, *("" if each is None else escape(str(each)) for each in numbers))
    console.print(lines)
    counts = result["counts"]
    console.print(f"Texts: {counts['read']:,} read = {counts['used']:,} used + {counts['quarantined']:,} quarantined.")
    _lines(console, {"Data Docs": result["data_docs"], "Quarantine": "\n".join(result["quarantine"])})


def show_classification(result: Result) -> None:
    """The classifier beside what needs no learning, what it takes for what, and where to go from here."""
    console, scores = Console(), result["figures"]
    sides = {"": result["classifier"]["name"], "words_": "word counts", "majority_": "most frequent class"}
    lines = Table("", *sides.values(), title=f"{result['texts']:,} texts, {result['num_classes']:,} classes")
    for name, label in (("accuracy", "accuracy"), ("macro_f1", "macro-F1")):
        lines.add_row(label, *(_interval(scores[prefix + name]) for prefix in sides))
    console.print(lines)
    console.print(f"Over counting words: {_interval(scores['over_words'])}.")
    error = result["calibration"]["fitted"]
    console.print(f"Calibration error: {error['ece']:.3f}; by chance alone up to {error['ece_floor']:.3f}.")
    worst = [f"{each['label']} for {each['named']} ({each['texts']})" for each in result["confusions"][:5]]
    console.print(f"Most confused: {escape('; '.join(worst) or 'nothing')}.")
    if result["left_out"]:
        console.print(f"Left out: {result['left_out']:,} test texts without a label that training knows.")
    _lines(
        console,
        {
            "Assessment": result["assessment"],
            **({"Bundle": result["bundle"]} if result["bundle"] else {}),
            "Your own text": f"{_command()} classify --corpus FILE.jsonl --label-column KEY",
        },
    )


def _interval(figure: Result) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def show_runs(result: Result) -> None:
    if not result["runs"]:
        Console().print("No runs yet: start one with `gdflow run`.")
        return
    lines = Table("run", "came to", "selected", "")
    for run in result["runs"]:
        lines.add_row(
            run["run"],
            "the end" if run["finished"] else (run["stages"] or ["nothing"])[-1],
            run["selected"] or "",
            ", ".join(run["champion"]),
        )
    Console().print(lines)


def show_release(result: Result) -> None:
    """What was decided, and why."""
    Console().print(promoted(result["promotion"]))
    if folder := result["promotion"]["judgement"]:
        _lines(Console(), {"Evidence": f"{folder}/judgement.json"})


def show_rollback(result: Result) -> None:
    console = Console()
    console.print(
        f"{escape(result['name'].capitalize())}: {result['champion']} again, {result['rolled_back']} no more."
    )
    _lines(console, {"Bundle": result["bundle"]})


def show_history(result: Result) -> None:
    """Every decision about a champion, oldest first."""
    if not result["history"]:
        Console().print(f"Nothing was decided about a champion named {escape(result['name'])} yet.")
        return
    console = Console()
    for each in result["history"]:
        mark = " [bold]← the champion[/]" if each == result["champion"] else ""
        when = each["when"][:16].replace("T", " ")
        console.print(f"{when}  {escape(each['run'])}  [bold]{each['outcome']}[/] by {escape(each['by'])}{mark}")
        console.print(f"  {escape(each['why'])}")


def show_drift(result: Result) -> None:
    """Each figure of the new text beside the champion's own; then the verdict."""
    console = Console()
    if moved := result.get("moved"):
        lines = Table("figure", "new text", "champion's own", "excess, 95 %", "limit", "verdict")
        for each in moved:
            excess = f"{each['excess']['low']:.3f} to {each['excess']['high']:.3f}"
            verdict = "[red]moved[/]" if each["drifted"] else "[green]still[/]"
            figures = (f"{each[part]:.3f}" for part in ("value", "floor"))
            lines.add_row(each["label"], *figures, excess, f"{each['limit']:g}", verdict)
        growth = result["growth"]
        verdict = "[red]moved[/]" if growth["drifted"] else "[green]still[/]"
        lines.add_row("growth", f"{growth['share']:.3f}", "", "", f"{growth['limit']:g}", verdict)
        console.print(lines)
    console.print(escape(result["reason"]))


def show_store(result: Result) -> None:
    lines = Table("artifact", "size", "made")
    for each in result["artifacts"]:
        lines.add_row(
            each["artifact"], size(each["bytes"]), f"{datetime.fromtimestamp(each['created'], UTC):%Y-%m-%d %H:%M}"
        )
    Console().print(lines)
    Console().print(f"{len(result['artifacts'])} artifacts, {size(result['bytes'])}")


def show_usage(result: Result) -> None:
    lines = Table("kind", "size")
    for kind, num_bytes in sorted(result["kinds"].items(), key=lambda item: -item[1]):
        lines.add_row(kind, size(num_bytes))
    Console().print(lines)
    Console().print(size(result["bytes"]))


def show_up(result: Result) -> None:
    """Where to look and how to start something."""
    console = Console()
    console.print("Already running:" if result["already_running"] else "Running:")
    _lines(
        console,
        {
            "UI": result["ui"],
            "Start a run there": f"{result['ui']}/deployments, on-demand, Run",
            "Or from here": f"gdflow run --home {result['home']}",
            "From any Prefect": f"PREFECT_API_URL={result['api']} prefect deployment run train/on-demand",
            "Runs and logs": f"{result['home']}/runs, {result['logs']}",
        },
    )
    if not result["already_running"]:
        console.print("Ctrl-C stops the server and the worker; a run in progress can be resumed.")


def show_deployed(result: Result) -> None:
    Console().print(f"{result['api']}: {', '.join(result['deployments'])}", soft_wrap=True, highlight=False)


def _evaluation(result: Result) -> Result:
    """The result in the shape of `evaluation.json`, which the tables read."""
    return result | {"selection": {"selected": result["selected"], "reason": result["reason"]}}


def _lines(console: Console, lines: dict[str, str]) -> None:
    """Labelled lines that can be copied: never wrapped, nothing in them taken for markup."""
    width = max(map(len, lines))
    for label, text in lines.items():
        console.print(f"{label:{width}}  {text}", soft_wrap=True, markup=False, highlight=False)
