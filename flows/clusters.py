"""Where the trials of a sweep run: under threads of its own process, or on a Dask cluster.

A trial is a process of its own either way, and whoever starts it waits for it: on one machine a thread does, at no cost
that could be measured. A local Dask cluster takes 5 to 8 seconds to start, and 92 MB and 4 % of a core a worker, for
the same table; Dask is for trials that are to run on other machines too. Why Dask and not Ray: docs/log.md.
"""

from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from gdcore.errors import UserError

LOCAL = "local"


def runner(cluster: str, workers: int) -> TaskRunner[Any]:
    """`workers` threads; or the Dask cluster at this address, or one of `workers` processes here if it is `local`.

    Raises UserError where Dask is not installed, or nothing answers at the address.
    """
    if not cluster:
        return ThreadPoolTaskRunner(max_workers=workers)
    try:
        import distributed
        from prefect_dask.task_runners import DaskTaskRunner
    except ImportError:
        raise UserError("a cluster needs Dask, which is not installed: pip install 'gdflow[dask]'") from None
    if cluster == LOCAL:
        each = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        return DaskTaskRunner(cluster_kwargs=each)
    try:
        distributed.Client(cluster, timeout="10s", set_as_default=False).close()
    except (OSError, ValueError) as error:
        raise UserError(
            f"no Dask scheduler answers at {cluster} ({error}). Expected an address such as tcp://host:8786: start one "
            "with `dask scheduler`, and `dask worker` on each machine."
        ) from error
    return DaskTaskRunner(address=cluster)


def killed() -> tuple[type[Exception], ...]:
    """What the result of a trial raises whose process was killed once too often, or whose workers were."""
    try:
        from distributed import KilledWorker
    except ImportError:
        return (ChildProcessError,)
    return ChildProcessError, KilledWorker
