"""What a run ran on, for whoever wants to do it again."""

import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = ("torch", "numpy", "polars", "tokenizers", "onnx", "onnxruntime", "great_expectations", "prefect")


def environment() -> dict[str, str]:
    """Versions, machine, threads and the command, in words. Threads are torch's where it is loaded."""
    torch = sys.modules.get("torch")
    threads = str(torch.get_num_threads()) if torch else os.environ.get("OMP_NUM_THREADS", "")
    return {
        "gdflow": _version("gdflow"),
        "Python": platform.python_version(),
        "platform": platform.platform(),
        "processor cores": str(os.cpu_count() or ""),
        "threads": threads,
        "packages": ", ".join(f"{name} {version}" for name in PACKAGES if (version := _version(name))),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
