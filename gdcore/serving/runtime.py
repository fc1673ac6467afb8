"""onnxruntime, set up the way a small model wants it."""

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.errors import UserError

Array = NDArray[Any]


class Graph:
    """One ONNX file, ready to run; safe to run from several threads at once."""

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        self._session = _session(model, threads)
        self.outputs: list[str] = [output.name for output in self._session.get_outputs()]

    def __call__(self, outputs: Sequence[str] | None = None, /, **inputs: Array | np.generic | int) -> list[Array]:
        """The named outputs (all, in order, by default)."""
        feed: Mapping[str, Array] = {name: np.asarray(value) for name, value in inputs.items()}
        return self._session.run(list(outputs or self.outputs), feed)


def _session(model: Path | bytes, threads: int) -> Any:
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    # A step of a small model takes microseconds: waking threads costs more than they give; spinning starves others.
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def _onnxruntime() -> Any:
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    advice = (
        "onnxruntime and onnxruntime-gpu are both installed; they overwrite each other's files, and either may fail. "
        "Uninstall both, then install one: pip install 'gdflow[cpu]'."
    )
    try:
        onnxruntime = import_module("onnxruntime")
        assert onnxruntime.InferenceSession  # what is left of an overwritten package imports all the same
    except (ImportError, AttributeError) as error:
        if len(installed) == 2:
            raise UserError(advice) from error
        raise UserError(f"a bundle needs onnxruntime ({error}): pip install 'gdflow[cpu]'.") from error
    if len(installed) == 2:
        warnings.warn(advice, stacklevel=4)
    return onnxruntime


def _is_installed(distribution: str) -> bool:
    from importlib import metadata  # a tenth of the time that importing a session takes

    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
