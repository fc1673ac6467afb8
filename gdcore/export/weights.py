"""The weights that several graphs of a bundle share, stored once in a file beside them.

ONNX calls it external data: a graph says at which byte of which file a tensor lies. Each begins at a page of memory, so
that a runtime can map the file instead of reading it.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from onnx import ModelProto, TensorProto

LEAST = 1024
"""Bytes of a tensor from which on it is worth a place of its own."""
PAGE = 4096


def write(bundle: Path, graphs: Mapping[str, ModelProto], weights: str) -> None:
    """Write graphs into a folder, and what at least two of them hold into a file `weights` there, if there is any.

    The graphs are changed: afterwards they refer to that file.
    """
    large = [tensor for model in graphs.values() for tensor in model.graph.initializer if len(tensor.raw_data) >= LEAST]
    times = Counter(tensor.raw_data for tensor in large)
    places: dict[bytes, int] = {}
    end = 0
    for data, number in times.items():
        if number > 1:
            places[data] = end
            end += -(-len(data) // PAGE) * PAGE
    if places:
        with (bundle / weights).open("wb") as file:
            for data, place in places.items():
                file.seek(place)
                file.write(data)
    for tensor in large:
        if tensor.raw_data in places:
            _refer(tensor, weights, places[tensor.raw_data])
    for name, model in graphs.items():
        (bundle / name).write_bytes(model.SerializeToString(deterministic=True))


def file_of(model: ModelProto) -> str | None:
    """The file in which a graph's shared weights lie; None where it holds all its weights itself."""
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                return entry.value
    return None


def _refer(tensor: TensorProto, file: str, offset: int) -> None:
    told = {"location": file, "offset": str(offset), "length": str(len(tensor.raw_data))}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in told.items():
        tensor.external_data.add(key=key, value=value)
