"""A GGUF file, read and written: what llama.cpp keeps a model in.

Metadata are read at once, tensors when they are asked for.

Layout (version 2 and 3, little-endian): the word GGUF, the version, the numbers of tensors and of metadata; the
metadata, each a key, a type and a value; of each tensor its name, sizes (the fastest first), type and place; from the
next multiple of `general.alignment` on, the tensors.
"""

import itertools
import mmap
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gdcore.errors import UserError
from gdcore.networks.blocks import LAYOUTS

MAGIC = b"GGUF"
VERSIONS = (2, 3)
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
WRITTEN = {bool: 7, int: 4, float: 6, str: STRING}
"""Types of what is written: whole numbers of 32 bits, others in single precision."""
INT32 = 5
"""In arrays whole numbers have a sign: llama.cpp reads the kinds of tokens as such."""
TENSORS = {np.dtype("<f4"): 0, np.dtype("<f2"): 1}
ALIGNMENT = 32


class Entry(NamedTuple):
    """A tensor in the file."""

    shape: tuple[int, ...]
    """Sizes, the slowest first, as in numpy."""
    type: int
    at: int
    """Its first byte, from the first tensor's."""


class GGUF:
    """An open file."""

    def __init__(self, path: Path) -> None:
        """Raises UserError for a file that is none, is of another version, or is cut short."""
        self.path = path
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                raise UserError(f"{path} is no GGUF file: it does not begin with {MAGIC.decode()}")
            # Mapped, not read: a tensor's bytes come in when it is asked for.
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._at = 4
        try:
            version = self._scalar("<I")
            if version not in VERSIONS:
                raise UserError(f"{path} is GGUF of version {version}; expected one of {', '.join(map(str, VERSIONS))}")
            num_tensors, num_values = self._scalar("<Q"), self._scalar("<Q")
            self.metadata = {self._string(): self._value(self._scalar("<I")) for _ in range(num_values)}
            self.tensors = {self._string(): self._entry() for _ in range(num_tensors)}
        except struct.error:
            raise UserError(f"{path} ends in the middle of its header; copy the file anew") from None
        alignment = int(self.metadata.get("general.alignment", ALIGNMENT))
        self._data = -(-self._at // alignment) * alignment

    def read(self, name: str) -> NDArray[np.float32]:
        """A tensor's weights, in single precision.

        Raises UserError, with the file's and the tensor's name, where there is none, its type is unknown here, or the
        file ends before it does.
        """
        if name not in self.tensors:
            raise UserError(f"{self.path} has no tensor {name}")
        shape, kind, at = self.tensors[name]
        layout = LAYOUTS.get(kind)
        if layout is None:
            known = ", ".join(each.name for each in LAYOUTS.values())
            raise UserError(
                f"{self.path}: tensor {name} is of ggml's type {kind}, which gdflow does not read; it reads {known}. "
                "Take the model in one of these, Q8_0 for example."
            )
        if shape[-1] % layout.block:
            raise UserError(f"{self.path}: the rows of tensor {name}, {shape}, are no whole blocks of {layout.name}")
        start, size = self._data + at, prod(shape) // layout.block * layout.size
        if start + size > len(self._bytes):
            raise UserError(f"{self.path} ends in the middle of tensor {name}; copy the file anew")
        raw = np.frombuffer(self._bytes, np.uint8, size, start)
        return layout.read(raw.reshape(-1, layout.size)).reshape(shape)

    def _scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._bytes, self._at)
        self._at += struct.calcsize(form)
        return value

    def _string(self) -> str:
        length = self._scalar("<Q")
        raw = self._bytes[self._at : self._at + length]
        if len(raw) < length:
            raise struct.error
        self._at += length
        return raw.decode("utf-8", errors="replace")

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            kind, length = self._scalar("<I"), self._scalar("<Q")
            if kind in SCALARS:  # a vocabulary's worth, at once
                form = f"<{length}{SCALARS[kind][1]}"
                values = struct.unpack_from(form, self._bytes, self._at)
                self._at += struct.calcsize(form)
                return list(values)
            return [self._value(kind) for _ in range(length)]
        if kind not in SCALARS:
            raise UserError(f"{self.path}: metadata of type {kind}, which GGUF does not have; copy the file anew")
        return self._scalar(SCALARS[kind])

    def _entry(self) -> Entry:
        sizes = [self._scalar("<Q") for _ in range(self._scalar("<I"))]
        return Entry(tuple(reversed(sizes)), self._scalar("<I"), self._scalar("<Q"))


def write(path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a file of version 3: values, lists of values, and tensors in single or half precision, in their order."""
    header = [MAGIC, struct.pack("<IQQ", VERSIONS[-1], len(tensors), len(metadata))]
    header += [_written(key) + _typed(value) for key, value in metadata.items()]
    at = 0
    for name, array in tensors.items():
        sizes, kind = array.shape[::-1], TENSORS[array.dtype]
        header.append(_written(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, at))
        at += array.nbytes + -array.nbytes % ALIGNMENT
    with path.open("wb") as file:
        for raw in itertools.chain([b"".join(header)], (array.tobytes() for array in tensors.values())):
            file.write(raw + bytes(-len(raw) % ALIGNMENT))


def _typed(value: Any) -> bytes:
    """A value of the metadata, its type before it."""
    if not isinstance(value, list):
        kind = WRITTEN[type(value)]
        return struct.pack("<I", kind) + _written(value, kind)
    kind = INT32 if isinstance(value[0], int) else WRITTEN[type(value[0])]
    return struct.pack("<IIQ", ARRAY, kind, len(value)) + b"".join(_written(each, kind) for each in value)


def _written(value: Any, kind: int = STRING) -> bytes:
    if kind != STRING:
        return struct.pack(SCALARS[kind], value)
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw
