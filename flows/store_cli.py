"""`gdflow store …`: what has been built; `flows.cli` has the other commands."""

from typing import Annotated

import typer
from typer import Option

from flows.console import answer, size
from flows.options import HERE, Home, Json
from gdcore.errors import UserError

app = typer.Typer(invoke_without_command=True, help="What has been built: list it, check it, make room.")


@app.callback(epilog="Examples: gdflow store · gdflow store du · gdflow store verify · gdflow store gc --keep 5")
def store(context: typer.Context, home: Home = HERE, json: Json = False) -> None:
    """List what the store holds, oldest first."""
    if context.invoked_subcommand:
        return
    from flows.results import show_store
    from gdcore.artifacts import Store

    held = Store(home / "artifacts")
    lines = [
        {"artifact": each.ref.name, "bytes": each.size, "created": each.created, "path": str(held.path(each.ref))}
        for each in held.all()
    ]
    answer({"artifacts": lines, "bytes": sum(each.size for each in held.all())}, json, show_store)


@app.command(epilog="Example: gdflow store verify --home /data/gdflow")
def verify(home: Home = HERE, json: Json = False) -> None:
    """Hash every byte of the store and name what was altered. Status 2 if anything was."""
    from gdcore.artifacts import Store

    held = Store(home / "artifacts")
    damaged = held.complaints()
    result = {"checked": len(held.all()), "damaged": damaged}
    answer(result, json, lambda result: typer.echo(f"{result['checked']} artifacts checked"))
    if damaged:
        names = "; ".join(f"{name}: {complaint}" for name, complaint in damaged.items())
        raise UserError(f"The store is damaged: {names}. The next run that needs one of these builds it again.")


@app.command(epilog="Example: gdflow store du --json")
def du(home: Home = HERE, json: Json = False) -> None:
    """Say how much room each kind of artifact takes, and the checkpoints of unfinished stages."""
    from flows.results import show_usage
    from gdcore.artifacts import Store
    from gdcore.housekeeping import usage

    used = usage(Store(home / "artifacts"))
    answer({"kinds": used, "bytes": sum(used.values())}, json, show_usage)


@app.command(epilog="Examples: gdflow store gc --keep 5 --dry-run · gdflow store gc --keep 20")
def gc(
    keep: Annotated[int, Option(min=1, help="So many of the newest finished runs keep all that they used.")] = 10,
    keep_runs: Annotated[
        int, Option(min=1, help="So many of the newest runs keep report and log; no fewer than --keep.")
    ] = 100,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would go.")] = False,
    home: Home = HERE,
    json: Json = False,
) -> None:
    """Remove what neither the newest runs, nor a run in progress, nor a champion needs.

    Older runs keep their report and log, up to --keep-runs of them and for a week in any case. What is removed can be
    built again by the same command as before.
    """
    from gdcore.housekeeping import collect

    done = collect(home.absolute(), keep, keep_runs=keep_runs, dry=dry_run)
    lines = [{"artifact": each.name, "bytes": each.size} for each in done.removed]
    verb = "Would remove" if dry_run else "Removed"
    words = f"{verb} {len(lines)} folders, {size(done.size)}; {done.kept} artifacts stay."
    result = {"removed": lines, "bytes": done.size, "kept": done.kept, "dry_run": dry_run}
    answer(result, json, lambda _: typer.echo("\n".join([*(each.name for each in done.removed), words])))
