"""GGUF: every kind of block against values worked out by hand; metadata and tensors; what is refused, in words."""

import struct
from pathlib import Path

import numpy as np
import pytest
from small_pretrained import write_file

from gdcore.errors import UserError
from gdcore.networks.blocks import LAYOUTS
from gdcore.networks.gguf import GGUF, write

TYPES = {layout.name: number for number, layout in LAYOUTS.items()}


def half(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}e", *values)


def filled(size: int, fill: int = 0, **at: int) -> bytes:
    """So many bytes, all `fill` but those named `_INDEX`."""
    raw = bytearray([fill] * size)
    for name, value in at.items():
        raw[int(name[1:])] = value
    return bytes(raw)


# Scales of the K layouts: sub-block 0 has scale 2 and least 3; sub-block 5 has 1 + (1 << 4) = 17 and 2 + (2 << 4) = 34.
SCALES = filled(12, _0=2, _4=3, _9=0x21, _1=0x40, _5=0x80)
K_QUANTS = filled(128, _0=0x07, _64=0xA0)  # weight 0: 7; weight 32·5: 10 in the upper half

BY_HAND = {
    "F32": (struct.pack("<f", -1.5), {0: -1.5}, None),
    "F16": (half(0.25), {0: 0.25}, None),
    "BF16": (bytes([0x40, 0xC0]), {0: -3.0}, None),  # the upper half of single precision's C0400000
    "Q8_0": (half(0.5) + filled(32, _0=0x80, _31=0x7F), {0: -64.0, 31: 63.5}, 0.0),
    # Of 15 and 9, d·(q − 8); of 8, nothing.
    "Q4_0": (half(2) + filled(16, 0x88, _0=0x9F), {0: 14.0, 16: 2.0}, 0.0),
    "Q4_1": (half(0.25, -1) + filled(16, _0=0x4F), {0: 2.75, 16: 0.0}, -1.0),
    "Q5_0": (half(1) + filled(4, _0=1) + filled(16, _0=0x23), {0: 3.0, 16: -14.0}, -16.0),
    "Q5_1": (half(0.5, 1) + filled(4, _2=1) + filled(16, _0=0x23), {0: 2.5, 16: 10.0}, 1.0),
    # Weight 0: ½·2·7 − ¼·3; weight 160: ½·17·10 − ¼·34.
    "Q4_K": (half(0.5, 0.25) + SCALES + K_QUANTS, {0: 6.25, 1: -0.75, 160: 76.5, 161: -8.5}, None),
    # Both with a fifth bit: 23 and 26 in place of 7 and 10.
    "Q5_K": (half(0.5, 0.25) + SCALES + filled(32, _0=0b100001) + K_QUANTS, {0: 22.25, 1: -0.75, 160: 212.5}, None),
    # Weight 0: ½·2·(5 + 32 − 32); 96: ½·1·(12 + 16 − 32); 144: ½·(−3)·(15 + 16 − 32).
    "Q6_K": (
        filled(128, _0=0x05, _32=0xC0, _80=0x0F)
        + filled(64, _0=0b01000010, _48=0b01)
        + filled(16, _0=2, _6=1, _9=0xFD)
        + half(0.5),
        {0: 5.0, 96: -2.0, 144: 1.5, 200: 0.0},
        None,
    ),
}


@pytest.mark.parametrize("name", TYPES)
def test_blocks_are_what_was_worked_out_by_hand(name, tmp_path: Path):
    data, expected, others = BY_HAND[name]
    layout = LAYOUTS[TYPES[name]]
    assert len(data) == layout.size
    # Two rows of two blocks: the second block is the first with nothing in it but zeros.
    raw = data + bytes(layout.size) + bytes(2 * layout.size)
    path = write_file(tmp_path / "m.gguf", {}, {"w": (TYPES[name], (2, 2 * layout.block), raw)})
    weights = GGUF(path).read("w")
    assert weights.shape == (2, 2 * layout.block)
    assert weights.dtype == np.float32
    for at, value in expected.items():
        assert weights[0, at] == value
    if others is not None:
        assert {weights[0, i] for i in range(layout.block) if i not in expected} == {others}
    assert not weights[1].any()


def test_metadata_and_tensors_are_found(tmp_path: Path):
    told = {"a": 7, "b": -0.5, "c": "Ġ中", "d": True, "e": ["x", ""], "f": [1, 2, 3], "general.alignment": 64}
    tensors = {"one": (0, (3,), np.arange(3, dtype="<f4").tobytes()), "two": (0, (1, 2), bytes(8))}
    path = write_file(tmp_path / "m.gguf", told | {"general.alignment": 32}, tensors, version=2)
    file = GGUF(path)
    assert file.metadata == told | {"general.alignment": 32}
    assert file.read("one").tolist() == [0, 1, 2]
    assert file.read("two").shape == (1, 2)
    with pytest.raises(UserError, match=r"m\.gguf has no tensor three"):
        file.read("three")


def test_what_is_written_is_what_was_made_by_hand(tmp_path: Path):
    """Byte for byte, but for lists of whole numbers, which have a sign here; and it is read again."""
    told = {"a": 7, "b": -0.5, "c": "Ġ中", "d": True, "e": ["x", ""]}
    one, two = np.arange(3, dtype="<f4"), np.array([[1, 2], [3, 4], [5, 6]], "<f2")
    tensors = {"one": (0, (3,), one.tobytes()), "two": (1, (3, 2), two.tobytes())}
    by_hand = write_file(tmp_path / "by_hand.gguf", told, tensors)
    write(tmp_path / "ours.gguf", told, {"one": one, "two": two})
    assert (tmp_path / "ours.gguf").read_bytes() == by_hand.read_bytes()
    write(tmp_path / "turned.gguf", {"f": [-1, 2]}, {"two": two.T})
    file = GGUF(tmp_path / "turned.gguf")
    assert file.metadata == {"f": [-1, 2]}
    assert np.array_equal(file.read("two"), two.T)


def test_what_cannot_be_read_is_refused_by_file_and_tensor(tmp_path: Path):
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(UserError, match=r"text\.gguf is no GGUF file"):
        GGUF(tmp_path / "text.gguf")
    with pytest.raises(UserError, match="version 1; expected one of 2, 3"):
        GGUF(write_file(tmp_path / "old.gguf", {}, {}, version=1))
    whole = write_file(
        tmp_path / "m.gguf", {"k": "value"}, {"w": (8, (1, 32), bytes(34)), "x": (10, (1, 256), bytes(84))}
    )
    with pytest.raises(UserError, match=r"m\.gguf: tensor x is of ggml's type 10, .* it reads F32, .* Q6_K"):
        GGUF(whole).read("x")
    raw = whole.read_bytes()
    for size, message in [
        (20, "middle of its header"),
        (40, "middle of its header"),
        (len(raw) - 150, "middle of tensor w"),
    ]:
        (tmp_path / "cut.gguf").write_bytes(raw[:size])
        with pytest.raises(UserError, match=message):
            GGUF(tmp_path / "cut.gguf").read("w")
    odd = write_file(tmp_path / "odd.gguf", {}, {"w": (8, (2, 16), bytes(34))})
    with pytest.raises(UserError, match="no whole blocks of Q8_0"):
        GGUF(odd).read("w")
