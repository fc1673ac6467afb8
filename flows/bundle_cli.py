"""`gdflow bundle …`: what a bundle is, whether it is whole, who made it. Needs no torch and no Prefect."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument, Option

from flows.champion_cli import chosen_bundle
from flows.console import answer, size
from flows.options import HERE, Bundle, Champion, ChampionName, Home, Json

app = typer.Typer(invoke_without_command=True, help="An exported bundle: describe it, check it, sign it, pass it on.")

EXAMPLES = """Examples:\n
    gdflow bundle\n
    gdflow bundle verify\n
    gdflow bundle verify DIR --public-key public.pem\n
    gdflow bundle sign DIR --key key.pem\n
    gdflow bundle triton DIR --out models"""


@app.callback(epilog=EXAMPLES)
def bundle(
    context: typer.Context,
    bundle: Bundle = None,
    champion: Champion = False,
    name: ChampionName = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Say what a bundle is: model, text, figures, files and their sizes. `verify` says whether it is whole."""
    if context.invoked_subcommand:
        return
    from gdcore.serving.manifest import parse_manifest

    folder = chosen_bundle(bundle, champion, name, home)
    manifest = parse_manifest(folder)
    answer({"bundle": str(folder), **manifest}, json, _describe)


@app.command(epilog="Examples: gdflow bundle verify · gdflow bundle verify DIR --public-key public.pem")
def verify(
    bundle: Annotated[Path | None, Argument(metavar="DIR", help="By default the latest run's.")] = None,
    public_key: Annotated[Path | None, Option(help="Ask for a signature by this key's owner (PEM, Ed25519).")] = None,
    champion: Champion = False,
    name: ChampionName = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Hash every byte of a bundle. Status 1, and each file with what was expected and found, unless all is as made."""
    from gdcore.serving.manifest import SIGNATURE, damage, parse_manifest, strangers

    folder = chosen_bundle(bundle, champion, name, home)
    manifest = parse_manifest(folder)
    if public_key:
        from gdcore.signature import check

        check(folder, public_key)
    complaints = [*damage(folder, manifest), *strangers(folder, manifest)]
    signed = "valid" if public_key else "not checked" if (folder / SIGNATURE).is_file() else "none"
    result = {
        "bundle": str(folder),
        "files": len(manifest["files"]),
        "bytes": sum(each["size"] for each in manifest["files"].values()),
        "signature": signed,
        "complaints": [each._asdict() for each in complaints],
    }
    answer(result, json, _show_verified)
    if complaints:
        typer.echo("The bundle is damaged: export it again, or copy it anew.", err=True)
        raise typer.Exit(1)


@app.command(epilog="Example: gdflow bundle sign runs/latest/bundle --key key.pem")
def sign(
    bundle: Annotated[Path, Argument(metavar="DIR", help="Folder of a bundle.")],
    key: Annotated[Path, Option(help="An Ed25519 private key (PEM): openssl genpkey -algorithm ed25519 -out key.pem")],
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Sign a bundle's manifest, which holds the digest of every file; `verify --public-key` then asks for it."""
    from gdcore.signature import sign as signed

    path = signed(bundle, key)
    answer({"bundle": str(bundle), "signature": str(path)}, json, lambda result: typer.echo(result["signature"]))


@app.command(epilog="Example: gdflow bundle triton runs/latest/bundle --out models")
def triton(
    out: Annotated[Path, Option(help="Folder of the model repository, new or not.")],
    bundle: Annotated[Path | None, Argument(metavar="DIR", help="By default the latest run's.")] = None,
    model_name: Annotated[str, Option(help="What the models' names begin with.")] = "gdflow",
    champion: Champion = False,
    name: ChampionName = "",
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Write a bundle's graphs as a model repository that NVIDIA Triton, and KServe by it, serves."""
    from gdcore.export.repository import write_repository

    folder = chosen_bundle(bundle, champion, name, home)
    models = [str(path) for path in write_repository(folder, out, model_name)]
    answer({"bundle": str(folder), "models": models}, json, lambda result: typer.echo("\n".join(result["models"])))


def _show_verified(result: dict[str, Any]) -> None:
    typer.echo(
        f"{result['bundle']}: {result['files']} files, {size(result['bytes'])}; signature: {result['signature']}"
    )
    for each in result["complaints"]:
        typer.echo(f"  {each['file']}: expected {each['expected']}, found {each['found']}")


def _describe(result: dict[str, Any]) -> None:
    """A page of words and numbers; a classifier's bundle has classes where others have a generator."""
    what = result.get("generator") or result["classifier"]
    judge = result.get("discriminator")
    lines = [
        ("bundle", result["bundle"]),
        ("classifier" if "classes" in result else "generator", what["name"]),
        *([("classes", ", ".join(result["classes"]))] if "classes" in result else []),
        *([("discriminator", judge["name"])] if judge else []),
        ("vocabulary", f"{result['vocab_size']:,} tokens"),
        ("context", f"{result['context']} tokens"),
        *([] if "classes" in result else [("prompts", "answers them" if result["prompted"] else "continues them")]),
        ("licence", result["license"] or "none stated"),
        ("made by", f"gdflow {result['gdflow']}, schema {result['schema_version']}"),
        *((key, value) for key, value in result["about"].items() if isinstance(value, str)),
    ]
    for key, value in lines:
        typer.echo(f"{key:<14} {value}")
    files = result["files"]
    for name, each in files.items():
        typer.echo(f"  {name:<24} {size(each['size']):>8}")
    typer.echo(f"  {'together':<24} {size(sum(each['size'] for each in files.values())):>8}")
