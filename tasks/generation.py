"""Texts in bulk from a bundle, told to Prefect as they come."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from gdcore.artifacts import Store
from gdcore.decoding import Decoding
from gdcore.release.champion import Champion
from tasks import show
from tasks.progress import relay
from tasks.stage import transient


@task(
    name="generate",
    task_run_name="generate",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=[10, 60],
    retry_jitter_factor=0.5,
    retry_condition_fn=transient,
)
def generate(
    home: Path,
    name: str,
    bundle: Path | None,
    num: int,
    prompts: Path | None,
    prompt_column: str,
    seed: int,
    decoding: Decoding,
    out: Path,
) -> dict[str, Any]:
    """Write the file, or go on writing it; the bundle is the champion's unless one is given."""
    from gdcore import bulk

    folder = bundle or Champion(Store(home / "artifacts"), name).bundle()
    asked = bulk.prompts_of(prompts, prompt_column) if prompts else bulk.unprompted(num)
    source = bulk.digest_of(prompts, out) if prompts else ""
    relay("generation", bulk.generate(folder, out, asked, None if prompts else num, seed, decoding, source))
    told = bulk.summary(out)
    shown = {"file": str(out), "bundle": str(folder), "seed": str(seed), "decoding": str(decoding)}
    counts = {"rows": told["rows"], "written": told["written"], **told["refused"]}
    text = f"{show.pairs(shown | counts, '', '')}\n\n{show.quoted(told['texts'])}"
    show.markdown("generated", text, f"{told['written']:,} texts")
    return shown | told
