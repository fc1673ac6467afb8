"""Batch inference: the champion writes, and what it wrote lies in one Parquet file."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.hooks import TELLING
from gdcore.decoding import Decoding
from gdcore.release.champion import DEFAULT
from tasks.generation import generate


def run_name() -> str:
    """Whose texts, and how many."""
    told = flow_run.parameters
    what = Path(told["prompts"]).name if told.get("prompts") else f"{told.get('num', 0):,} texts"
    return f"{told.get('name') or told.get('bundle')} · {what}"


@flow(name="generate-batch", flow_run_name=run_name, persist_result=False, **TELLING)
def generate_batch(
    name: str = DEFAULT,
    num: Annotated[int, Field(ge=1)] = 1000,
    prompts: Path | None = None,
    prompt_column: str = "prompt",
    seed: Annotated[int, Field(ge=0)] | None = None,
    decoding: Decoding = Decoding(),  # noqa: B008  (frozen)
    bundle: Path | None = None,
    out: Path | None = None,
    home: Path = Path(),
) -> dict[str, Any]:
    """Write many texts with the champion's bundle: so many, or one for each row of a file of prompts.

    A killed run goes on where it was when it is retried. Rows that cannot be answered stay, with the reason.

    Args:
        name: Which champion writes.
        num: How many texts, where no prompts are given.
        prompts: A file of prompts, of any kind that a corpus may be; one text for each row.
        prompt_column: Its column, where it has columns.
        seed: The same seed gives the same texts; by default the second for which the run was scheduled.
        decoding: How texts are drawn.
        bundle: Another bundle than the champion's.
        out: The Parquet file to write; by default generated/<time>.parquet in the home.
        home: The folder that holds artifacts/ and runs/, seen from where the worker works.
    """
    due: datetime = flow_run.scheduled_start_time
    seed = int(due.timestamp()) if seed is None else seed
    path = out or home.absolute() / "generated" / f"{due:%Y%m%dT%H%M%SZ}.parquet"
    return generate(home.absolute(), name, bundle, num, prompts, prompt_column, seed, decoding, path)
