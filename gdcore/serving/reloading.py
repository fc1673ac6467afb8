"""A model that follows a name: when what the name stands for changes, the server goes over to it without a pause.

The new bundle is opened and warmed beside the old one; requests that the old one accepted are still answered by it.
A bundle that cannot be used changes nothing but the log and the metrics; the next look tries it again.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from gdcore.errors import UserError
from gdcore.serving.models import Models
from gdcore.serving.observing import Metrics

SECONDS = 2.0
"""Between two looks."""
log = logging.getLogger("gdflow.serve")


async def follow(
    models: Models, metrics: Metrics, name: str, where: Callable[[], Path], seconds: float = SECONDS
) -> None:
    """For ever: look which bundle the name stands for (`where`), and serve that one."""
    complaint = ""
    while True:
        await asyncio.sleep(seconds)
        try:
            bundle = await asyncio.to_thread(where)
            if bundle == models.get(name).session.bundle:
                continue
            models.replace(name, await asyncio.to_thread(models.opened, bundle))
        except (UserError, OSError) as error:
            metrics.reloads.labels(name, "failed").inc()
            if str(error) != complaint:  # once, not every two seconds
                complaint = str(error)
                log.exception("a bundle cannot be used; the one before it stays", extra={"told": {"model": name}})
        else:
            complaint = ""
            metrics.reloads.labels(name, "taken in").inc()
            log.info("took in another bundle", extra={"told": {"model": name, "bundle": str(bundle)}})
