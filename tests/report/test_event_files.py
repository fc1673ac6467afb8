"""Event files: framing and checksums by hand, the whole by TensorBoard's own reader where it is installed."""

import struct
from pathlib import Path

import pytest

from gdcore.report.event_files import crc32c, record, tag, write_events

LINES = [
    {"step": 1, "generator_nll": 4.5, "learning_rate": 1e-3, "alarm": None},
    {"step": 300, "guard_unique": 1, "alarm": "words are no numbers"},
    {"step": 301, "alarm": None},
]


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_the_checksums_are_those_of_the_standard(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_a_record_by_hand() -> None:
    framed = record(b"abc")
    assert struct.unpack("<Q", framed[:8]) == (3,)
    assert framed[12:15] == b"abc"
    crc = crc32c(b"abc")
    assert struct.unpack("<I", framed[15:]) == (((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32,)
    assert len(framed) == 19


def test_an_event_by_hand(tmp_path: Path) -> None:
    data = write_events(tmp_path, LINES[1:2], 2.0).read_bytes()
    first = struct.unpack("<Q", data[:8])[0]
    second = data[8 + 4 + first + 4 :]
    event = second[12:-4]
    value = b"\x0a\x0cguard/unique" + b"\x15" + struct.pack("<f", 1.0)
    summary = b"\x0a" + bytes([len(value)]) + value
    assert event == b"\x09" + struct.pack("<d", 2.0) + b"\x10\xac\x02" + b"\x2a" + bytes([len(summary)]) + summary


def test_a_second_writing_replaces_the_first(tmp_path: Path) -> None:
    write_events(tmp_path, LINES, 1.0)
    path = write_events(tmp_path, LINES, 9.0)
    assert list(tmp_path.iterdir()) == [path]


def test_keys_are_grouped() -> None:
    assert [tag(key) for key in ("guard_valid_nll", "valid_nll", "generator", "learning_rate")] == [
        "guard/valid_nll",
        "valid_nll",
        "generator",
        "learning_rate",
    ]


@pytest.mark.slow
def test_tensorboard_reads_them(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_events(tmp_path, LINES, 7.0)
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert sorted(read.Tags()["scalars"]) == ["generator/nll", "guard/unique", "learning_rate"]
    assert [(each.step, each.value, each.wall_time) for each in read.Scalars("generator/nll")] == [(1, 4.5, 7.0)]
    assert [each.step for each in read.Scalars("guard/unique")] == [300]
