"""What runs in what order. Before anything is imported: no dependency phones home, and our log lines reach Prefect."""

import os

DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "gdcore,tasks,flows",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}

for name, value in DEFAULTS.items():
    os.environ.setdefault(name, value)
