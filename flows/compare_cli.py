"""The `compare` command; `flows.cli` has the others."""

from typing import Annotated, Any

from typer import Argument, Option

from flows.console import answer
from flows.options import HERE, NONE, Home, Json
from gdcore.errors import UserError

WIDTHS = {"": 12, "B is": 13}
"""Of the columns that hold words: the longest word of a label, the longest verdict."""

EXAMPLES = """Examples:\n
    gdflow compare latest:pretrained latest:finetuned\n
    gdflow compare 20260102T030405Z_coco_ab12 20260103T030405Z_coco_cd34 --metric nll --metric bleu_4\n
    gdflow compare mine/evaluation.json theirs/evaluation.json --json\n
    gdflow compare seed0:pretrained,seed1:pretrained,seed2:pretrained seed0,seed1,seed2"""


def compare(
    a: Annotated[str, Argument(help="A run, evaluation.json or `evaluate --json` output; NAME:MODEL:DECODING.")],
    b: Annotated[str, Argument(help="What is held against it. On both sides: several training seeds, by commas.")],
    metric: Annotated[list[str], Option(help="Compare this metric: the fewer, the more certain. Repeatable.")] = NONE,
    every: Annotated[bool, Option("--all", help="Compare every metric instead of the headlines.")] = False,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Hold one result against another: differences with intervals, tests, a verdict, and what would settle it."""
    from gdcore.evaluation.side_by_side import headlines, named, read_side, side_by_side

    if metric and every:
        raise UserError("--metric and --all do not go together: give one of them")
    left, right = ([read_side(name, home) for name in given.split(",")] for given in (a, b))
    chosen = named(metric, [*left, *right]) if metric else None if every else headlines()
    answer(dict(side_by_side(left, right, chosen)), json, _show)


def _show(result: dict[str, Any]) -> None:
    """A table of the metrics, what is clear first; then the verdict in words."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from gdcore.evaluation.comparison import settle
    from gdcore.report import wording

    console = Console()
    title = f"A: {', '.join(result['a'])}\nB: {', '.join(result['b'])}"
    lines = Table(title=escape(title), title_justify="left", caption=f"protocol {result['protocol']} · 95 % intervals")
    lines.caption_justify = "left"
    for heading in ("", "A", "B", "real text", "B − A", "p (Holm)", "B is", "to settle it"):
        side = "left" if heading in ("", "B is", "to settle it") else "right"
        # A number that is cut is another number, and a word that is broken is none.
        lines.add_column(heading, justify=side, overflow="fold", min_width=WIDTHS.get(heading))
    colours = {"better": "green", "worse": "red", "no difference": "dim"}
    for each in sorted(result["contrasts"], key=lambda each: each["verdict"] == "no difference"):
        digits = wording.metric(each["metric"]).digits
        change, verdict = each["difference"], each["verdict"]
        low, high = (wording.signed(change[limit], digits) for limit in ("low", "high"))
        lines.add_row(
            wording.metric(each["metric"]).label,
            *(wording.value(each[side], digits) if each[side] else "–" for side in ("a", "b", "real")),
            f"{wording.signed(change['value'], digits)} [dim]{low} to {high}[/]",
            f"{each['p_holm']:.2g}",
            f"[{colours[verdict]}]{verdict}[/]",
            f"[dim]{settle(each)}[/]",
        )
    console.print(lines)
    tests = dict.fromkeys(each["test"] for each in result["contrasts"])
    console.print(f"\n[bold]{escape(result['summary'])}[/]")
    console.print(f"Tests: {'; '.join(tests)}; corrected for {len(result['contrasts'])} metrics (Holm).")
    for note in result["notes"]:
        console.print(f"Note: {escape(note)}")
