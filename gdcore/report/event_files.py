"""Training logs as TensorBoard event files, without TensorBoard: `tensorboard --logdir runs` shows every run.

An event file is a sequence of records (TFRecord framing): length (8 bytes), its checksum (4), the event, its checksum
(4), all little-endian; a checksum is a masked CRC-32C (Castagnoli). An event is a protocol buffer, of which these
fields are written: 1 wall time (double), 2 step (varint), 3 file version (string), 5 summary; a summary repeats field
1, a value: 1 tag (string), 2 number (float).
"""

import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

POLYNOMIAL = 0x82F63B78
"""Castagnoli's, bits reversed."""
MASK = 0xA282EAD8
GROUPS = ("generator", "discriminator", "guard")
"""What stands before the first underscore of a log's keys: a section of TensorBoard's page each."""
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""Wire types."""


def write_events(folder: Path, lines: Iterable[Mapping[str, Any]], wall_time: float) -> Path:
    """Replace the event file in `folder` by one of these log lines: each has `step`, and any numbers.

    `wall_time`, in seconds since 1970, is what all events bear: logs hold no times.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    path = folder / f"events.out.tfevents.{int(wall_time)}.gdflow"
    start = _field(1, DOUBLE, struct.pack("<d", wall_time))
    with path.open("wb") as file:
        file.write(record(start + _field(3, BYTES, b"brain.Event:2")))
        for line in lines:
            if values := b"".join(_values(line)):
                file.write(record(start + _field(2, VARINT, _varint(line["step"])) + _field(5, BYTES, values)))
    return path


def tag(key: str) -> str:
    """A log's key as TensorBoard groups it: `guard_unique` stands under «guard»."""
    group, _, rest = key.partition("_")
    return f"{group}/{rest}" if group in GROUPS and rest else key


def record(data: bytes) -> bytes:
    """Bytes in their frame."""
    length = struct.pack("<Q", len(data))
    return length + _checksum(length) + data + _checksum(data)


def crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _table() -> Iterator[int]:
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (POLYNOMIAL if crc & 1 else 0)
        yield crc


TABLE = tuple(_table())


def _checksum(data: bytes) -> bytes:
    """Rotated right by 15 and shifted, so that a checksum of data that holds checksums is none of theirs."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF)


def _values(line: Mapping[str, Any]) -> Iterator[bytes]:
    for key, value in line.items():
        if key != "step" and isinstance(value, int | float):
            named = _field(1, BYTES, tag(key).encode()) + _field(2, FLOAT, struct.pack("<f", value))
            yield _field(1, BYTES, named)


def _field(number: int, wire: int, content: bytes) -> bytes:
    size = _varint(len(content)) if wire == BYTES else b""
    return _varint(number << 3 | wire) + size + content


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
