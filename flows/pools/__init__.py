"""Where runs are done: processes on the worker's machine, Docker containers, or Kubernetes jobs.

Each kind is Prefect's own template with what `<kind>.yaml` says on top: an image, a place for the home, and memory and
GPUs as job variables, which any deployment or run may set.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from gdcore.errors import UserError

FOLDER = Path(__file__).parent
KINDS = ("process", "docker", "kubernetes")


def template(kind: str) -> dict[str, Any] | None:
    """The base job template of a pool; None for processes, whose template the server knows.

    Raises UserError where the package that brings this kind of worker is not installed.
    """
    if kind == "process":
        return None
    from prefect.plugins import load_prefect_collections
    from prefect.utilities.dispatch import lookup_type
    from prefect.workers.base import BaseWorker

    load_prefect_collections()
    try:
        worker = lookup_type(BaseWorker, dispatch_key=kind)
    except KeyError:
        raise UserError(
            f"Prefect has no {kind} workers here. Install them with `pip install 'gdflow[{kind}]'` (prefect-{kind}), "
            "on this machine and where the worker runs."
        ) from None
    ours = yaml.safe_load((FOLDER / f"{kind}.yaml").read_text("utf-8"))
    return merged(worker.get_default_base_job_template(), ours)


def merged(base: Any, over: Any) -> Any:
    """`over` laid on `base`: mappings key by key, lists of as many items item by item; anything else replaces."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        known = dict(cast("Mapping[str, Any]", base))
        return known | {key: merged(known.get(key), value) for key, value in cast("Mapping[str, Any]", over).items()}
    if isinstance(base, list) and isinstance(over, list):
        below, above = cast("list[Any]", base), cast("list[Any]", over)
        return [merged(*pair) for pair in zip(below, above, strict=True)] if len(below) == len(above) else above
    return over
