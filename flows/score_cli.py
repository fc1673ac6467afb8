"""`gdflow score`; `flows.cli` has the others. Needs no torch and no Prefect."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from flows.champion_cli import chosen_bundle
from flows.console import answer
from flows.options import HERE, Bundle, Champion, ChampionName, Home, Int8, Json, PromptColumn, precision

EXAMPLES = """Examples:\n
    gdflow score texts.txt --out scores.parquet\n
    gdflow score answers.jsonl --text-column answer --prompt-column question --out scores.parquet\n
    gdflow score texts.parquet --bundle DIR --int8 --out scores.parquet --json"""


def score(
    texts: Annotated[Path, Argument(metavar="FILE", help="Texts, in a file of any kind that a corpus may be.")],
    out: Annotated[Path, Option(help="The Parquet file to write; the same command goes on with it.")],
    bundle: Bundle = None,
    text_column: Annotated[str, Option(help="Column of the text, where the file has columns.")] = "text",
    prompt_column: PromptColumn = None,
    int8: Int8 = False,
    champion: Champion = False,
    name: ChampionName = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Say of every text of a file how likely a bundle's model finds it, and what its discriminator thinks."""
    from gdcore import scoring
    from gdcore.progress import bar

    folder = chosen_bundle(bundle, champion, name, home)
    with bar("scoring") as show:
        for progress in scoring.score(folder, texts, out, text_column, prompt_column, precision(int8)):
            show(progress)
    answer({"file": str(out), "bundle": str(folder.resolve()), **scoring.summary(out)}, json, _show)


def _show(result: dict[str, Any]) -> None:
    mean = f", {result['nll']:.4f} nats a token" if result["nll"] is not None else ""
    typer.echo(f"{result['file']}: {result['rows']:,} rows, {result['scored']:,} scored{mean}")
    for reason, number in result["refused"].items():
        typer.echo(f"  {number:,} without: {reason}")
