"""Which training may go on at a time: one of a corpus, and in all as many as the server is told (a GPU each).

Both are global concurrency limits of Prefect's. They hold for runs of deployments, which nobody watches; who calls
`gdflow run` decides for himself, and a sweep's trials are as many as the sweep was told.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError
from prefect.runtime import deployment

from gdcore.artifacts import digest
from gdcore.corpora.naming import corpus_name, corpus_source
from gdcore.progress import Progress
from gdcore.runs import Run
from tasks.progress import closing_any

log = logging.getLogger(__name__)
TRAINING = "gdflow-training"
LOOK_SECONDS = 5.0
LEASE_SECONDS = 60.0
"""How long a slot stays taken when whoever took it was killed."""

Make = Callable[[Path, Path], Iterator[Progress]]


def queued(run: Run, make: Make) -> Make:
    """The same, begun when there is a slot for it; meanwhile it says that it waits, and may be stopped."""

    def begun(out: Path, work: Path) -> Iterator[Progress]:
        with ExitStack() as slot:
            if deployment.id:
                yield from _waited(slot, [TRAINING, _of_corpus(run)])
            with closing_any(progresses := make(out, work)):
                yield from progresses

    return begun


def ensure(name: str, limit: int) -> None:
    """Make a limit, unless it is there: what somebody has set stays."""
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=limit))


def _of_corpus(run: Run) -> str:
    corpus = run.config["corpus"]
    words = re.sub(r"[^a-z0-9]+", "-", corpus_name(corpus).lower()).strip("-")
    return f"{TRAINING}-{words}-{digest(corpus_source(corpus))[:4]}"


def _waited(slot: ExitStack, names: list[str]) -> Iterator[Progress]:
    """Take a slot of each; a server that does not answer must not stop the work."""
    while True:
        try:
            ensure(names[-1], 1)
            slot.enter_context(concurrency(names, timeout_seconds=LOOK_SECONDS, lease_duration=LEASE_SECONDS))
            return
        except TimeoutError:
            yield Progress(0, None, f"waiting for a slot of {' and '.join(names)}: another run is training")
        except (httpx.HTTPError, PrefectHTTPStatusError, ConcurrencySlotAcquisitionError) as error:
            log.warning("training begins without a slot, for Prefect gave no answer: %s", error)
            return
