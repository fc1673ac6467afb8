"""onnxruntime, set up the way a small model wants it."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gdcore.errors import UserError

Array = NDArray[Any]
Device = Literal["auto", "cpu", "cuda"]
"""Where graphs are computed; `auto` is the GPU where onnxruntime-gpu is installed and finds one, else the processor."""
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class Graph:
    """One ONNX file, ready to run; safe to run from several threads at once."""

    def __init__(self, model: Path | bytes, threads: int = 1, device: Device = "auto") -> None:
        """Raises UserError without onnxruntime, and where `cuda` is asked for in vain."""
        self._session = _session(model, threads, device)
        self.outputs: list[str] = [output.name for output in self._session.get_outputs()]

    def __call__(self, outputs: Sequence[str] | None = None, /, **inputs: Array | np.generic | int) -> list[Array]:
        """The named outputs (all, in order, by default)."""
        feed: Mapping[str, Array] = {name: np.asarray(value) for name, value in inputs.items()}
        return self._session.run(list(outputs or self.outputs), feed)


def _session(model: Path | bytes, threads: int, device: Device) -> Any:
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    # A step of a small model takes microseconds: waking threads costs more than they give; spinning starves others.
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    providers = _providers(runtime, device)
    try:
        session = runtime.InferenceSession(source, options, providers=providers)
    except Exception as error:  # onnxruntime's have no other base; of weights that lie elsewhere, for one
        name = model if isinstance(model, Path) else "the graph"
        raise UserError(f"onnxruntime cannot open {name}: {error}. Export it again.") from error
    if device == "cuda" and session.get_providers()[0] != CUDA:
        raise UserError(
            "onnxruntime-gpu cannot compute on a GPU here: it finds none, or not CUDA and cuDNN in versions that it "
            "was built for. See nvidia-smi and onnxruntime's table of versions, or take device='cpu'."
        )
    return session


def _providers(runtime: Any, device: Device) -> list[Any]:
    """In the order of preference; onnxruntime goes on to the next where one cannot be had."""
    if device != "cpu" and CUDA in runtime.get_available_providers():
        with redirect_stdout(StringIO()):  # what it cannot find it prints; onnxruntime says so again, on standard error
            runtime.preload_dlls()  # CUDA's and cuDNN's libraries, from where pip has put them
        # Products of 19 bits, the default, would not give the texts that the processor gives.
        return [(CUDA, {"use_tf32": "0"}), CPU]
    if device == "cuda":
        raise UserError(
            "this onnxruntime computes on the processor alone: pip uninstall onnxruntime, then "
            "pip install 'gdflow[gpu]'."
        )
    return [CPU]


def _onnxruntime() -> Any:
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    advice = (
        "onnxruntime and onnxruntime-gpu are both installed; they overwrite each other's files, and either may fail. "
        "Uninstall both, then install one: pip install 'gdflow[cpu]', or 'gdflow[gpu]'."
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
