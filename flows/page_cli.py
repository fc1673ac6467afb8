"""`gdflow page`; `flows.cli` has the others. Needs no torch and no Prefect."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from flows.champion_cli import chosen_bundle
from flows.console import answer, size
from flows.options import HERE, Bundle, Champion, ChampionName, Home, Json

EXAMPLES = """Examples:\n
    npm install onnxruntime-web && gdflow page --out site\n
    gdflow page --bundle DIR --out site --runtime ~/node_modules/onnxruntime-web\n
    gdflow page --champion --out site && python -m http.server --directory site"""


def page(
    out: Annotated[Path, Option(help="Folder to write; any static host can serve it.")],
    bundle: Bundle = None,
    runtime: Annotated[
        Path | None,
        Option(help="Folder of the npm package onnxruntime-web; by default node_modules/onnxruntime-web, here."),
    ] = None,
    champion: Champion = False,
    name: ChampionName = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Write a page that runs a bundle in the browser, without a server."""
    from gdcore.serving.page import find_runtime, write_page

    folder = chosen_bundle(bundle, champion, name, home)
    sizes = write_page(folder, out, runtime or find_runtime(Path()))
    answer({"folder": str(out.resolve()), "bundle": str(folder.resolve()), "bytes": sizes}, json, _show)


def _show(result: dict[str, Any]) -> None:
    parts = ", ".join(f"{part} {size(number)}" for part, number in result["bytes"].items())
    typer.echo(f"{result['folder']}: {parts}")
    typer.echo(f"  To look at it: python -m http.server --directory {result['folder']}")
