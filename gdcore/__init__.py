"""The library. Knows neither Prefect nor Great Expectations."""

import os

# From 1.29 on, onnxruntime tells Microsoft of every session, on Linux too; asked before it is first imported, never.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
