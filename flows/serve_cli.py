"""`gdflow serve`; `flows.cli` has the others. Needs no torch and no Prefect."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from flows.champion_cli import champion_bundle
from flows.console import answer, settings
from flows.options import HERE, NONE, Home, Int8, Json, precision
from gdcore.errors import UserError

if TYPE_CHECKING:
    from socket import socket as Socket

    from gdcore.serving.keys import Keys

EXAMPLES = """Examples:\n
    gdflow serve\n
    gdflow serve --bundle runs/latest/bundle --bundle other=DIR --port 8080\n
    gdflow serve --champion --home /data --keys keys.txt\n
    gdflow serve --new-key newsroom\n
    gdflow serve --set slots=128 --set deadline=10"""


def serve(
    bundle: Annotated[
        list[str], Option(help="Folder of a bundle, or NAME=FOLDER; by default the latest run's. Repeatable.")
    ] = NONE,
    champion: Annotated[
        bool, Option("--champion", help="Serve the champion, and its successor as soon as it is.")
    ] = False,
    name: Annotated[list[str], Option(help="Which champions; goes with --champion. Repeatable.")] = NONE,
    host: Annotated[str, Option(help="Address to listen on; by default, only this machine can ask.")] = "127.0.0.1",
    port: Annotated[int, Option(min=0, max=65535, help="Port to listen on; 0 takes any that is free.")] = 8000,
    keys: Annotated[
        Path | None, Option(envvar="GDFLOW_KEYS_FILE", help="A file of API keys, hashed; without, everybody may ask.")
    ] = None,
    key_hashes: Annotated[
        str, Option(envvar="GDFLOW_KEYS", help="What such a file holds; commas may stand for line breaks.")
    ] = "",
    new_key: Annotated[str | None, Option(metavar="NAME", help="Make a key and its line for --keys, and end.")] = None,
    page: Annotated[
        bool, Option("--page", help="Have the first model's page at /, for everybody who reaches it, keys or not.")
    ] = False,
    runtime: Annotated[
        Path | None,
        Option(help="Folder of the npm package onnxruntime-web, for --page; by default node_modules has it, here."),
    ] = None,
    cors: Annotated[
        list[str], Option(help="An origin whose pages may ask, as https://example.org. Repeatable.")
    ] = NONE,
    int8: Int8 = False,
    set_: Annotated[
        list[str],
        Option("--set", metavar="KEY=VALUE", help="A limit: slots, queue, texts, deadline, body_bytes … Repeatable."),
    ] = NONE,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Answer requests for texts over HTTP, as OpenAI's completions do; SIGTERM ends it when all are answered."""
    _check_installed()
    from gdcore.serving.keys import new_key as make_key

    if new_key:
        key, line = make_key(new_key)
        answer({"name": new_key, "key": key, "line": line}, json, _show_key)
        return
    if name and not champion:
        raise UserError("--name says which champion: give --champion too")
    from gdcore.explain import parsed
    from gdcore.serving.app import create_app
    from gdcore.serving.limits import Limits
    from gdcore.serving.observing import log_json
    from gdcore.serving.running import server

    limits = parsed(Limits, settings(set_), "--set")
    followed = {each or "champion": _champion(home, each) for each in (name or [""])} if champion else {}
    given = bundle or ([] if champion else [str(home / "runs" / "latest" / "bundle")])
    bundles = _named(given, home) | {name: where() for name, where in followed.items()}
    log_json()
    folder = _written(next(iter(bundles.values())), runtime) if page or runtime else None
    app, serving = create_app(bundles, limits, _keys(keys, key_hashes), cors, followed, precision(int8), folder)
    listening = _listen(host, port)
    address, taken = listening.getsockname()[:2]
    url = f"http://{f'[{address}]' if ':' in address else address}:{taken}"
    told: dict[str, Any] = {"url": url, "models": list(bundles), "keys": len(serving.keys), "pid": os.getpid()}
    answer(told | {"page": folder is not None}, json, _show)
    sys.stdout.flush()
    # Of two threads that compute in turns each would wait 5 ms for the interpreter, ten times as long as a step takes.
    sys.setswitchinterval(0.0005)
    server(app, serving, host, port).run([listening])


def _written(bundle: Path, runtime: Path | None) -> Path:
    """A bundle's page, in a folder that goes when this process ends."""
    import atexit
    import shutil
    import tempfile

    from gdcore.serving.page import find_runtime, write_page

    folder = Path(tempfile.mkdtemp(prefix="gdflow-page-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_page(bundle, folder, runtime or find_runtime(Path()))
    return folder


def _check_installed() -> None:
    try:
        import fastapi  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import prometheus_client  # noqa: F401  # pyright: ignore[reportUnusedImport]
        import uvicorn  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise UserError(f"the server needs {error.name}: pip install 'gdflow[serve]'") from None


def _named(given: list[str], home: Path) -> dict[str, Path]:
    """Bundles by the name they are asked for. Raises UserError for two of one name, and for what is no bundle."""
    bundles: dict[str, Path] = {}
    for each in given:
        name, equals, folder = each.rpartition("=")
        path = Path(folder)
        if not equals:
            # A run's bundle is always called `bundle`: its run's name says more.
            whole = path.absolute()
            name = whole.parent.name if whole.name == "bundle" else whole.name
        if not (path / "manifest.json").is_file():
            raise UserError(f"{path} is no bundle. Give one with --bundle, or make one with `gdflow run`.")
        if not name or name in bundles:
            raise UserError(f"two bundles would be named {name!r}: give --bundle NAME=FOLDER")
        bundles[name] = path
    return bundles


def _champion(home: Path, name: str) -> Callable[[], Path]:
    return lambda: champion_bundle(home, name)


def _keys(file: Path | None, text: str) -> "Keys":
    from gdcore.serving.keys import Keys

    if file and text:
        raise UserError("--keys and --key-hashes do not go together: give one of them")
    if not file:
        return Keys(text, "--key-hashes")
    try:
        content = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--keys {file}: {error}; expected a file of names and hashes of keys") from None
    if not content.strip():
        raise UserError(f"--keys {file} is empty: nobody could ask. `gdflow serve --new-key NAME` makes a key.")
    return Keys(content, f"--keys {file}")


def _listen(host: str, port: int) -> "Socket":
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}, port {port}: {error.strerror}. Give another --host or --port."
        ) from None


def _show_key(result: dict[str, Any]) -> None:
    typer.echo(f"The key, which is shown this once:\n  {result['key']}\nIts line for --keys:\n  {result['line']}")


def _show(result: dict[str, Any]) -> None:
    typer.echo(f"Serving {', '.join(result['models'])} on {result['url']}; /openapi.json says what can be asked.")
    if result["page"]:
        typer.echo("The page is at /.")
    if not result["keys"]:
        typer.echo("No API keys: whoever reaches this address may ask.")
