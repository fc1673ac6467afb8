"""What runs in what order. Before anything is imported: no dependency phones home, and our log lines reach Prefect."""

import os

DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "gdcore,tasks,flows",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # Threads that wait for one another sleep instead of spinning: as fast alone, far faster on a busy machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_THREAD_TIMEOUT": "4",  # numpy's, likewise
    # A run without a server starts one for itself; on a busy machine that takes longer than Prefect's 20 seconds.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
}

for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)
