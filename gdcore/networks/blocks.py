"""Weights as GGUF stores them: blocks of whole numbers with scales of their own, and back to single precision.

The layouts are those of ggml (`block_q4_0` … `block_q6_K` in its `ggml-common.h`); a block lies in one piece, numbers
little-endian. d is a block's scale and m its least value, in half precision.

Shapes: N blocks, W weights of a block (32, or 256 in the K layouts), S sub-blocks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[Any]
"""In single precision."""


class Layout(NamedTuple):
    """One of ggml's tensor types."""

    name: str
    block: int
    """Weights a block."""
    size: int
    """Bytes a block."""
    read: Callable[[Bytes], Floats]
    """Bytes (N, size) → weights (N, block)."""


def _half(raw_NX: Bytes, at: int) -> Floats:
    """The half-precision number (N, 1) that begins at a byte of each block."""
    return np.ascontiguousarray(raw_NX[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(raw_NX: Bytes) -> Floats:
    """Lower halves of the bytes, then the upper ones: (N, X) → (N, 2X)."""
    return np.concatenate([raw_NX & 15, raw_NX >> 4], axis=1).astype(np.float32)


def _fifth_bits(raw_N4: Bytes) -> Floats:
    """16 where a weight's bit is set: (N, 4) → (N, 32)."""
    return np.unpackbits(raw_N4, axis=1, bitorder="little").astype(np.float32) * 16


def _f32(raw_NX: Bytes) -> Floats:
    return raw_NX.view("<f4").astype(np.float32)


def _f16(raw_NX: Bytes) -> Floats:
    return raw_NX.view("<f2").astype(np.float32)


def _bf16(raw_NX: Bytes) -> Floats:
    return (raw_NX.view("<u2").astype(np.uint32) << 16).view(np.float32)


def _q4_0(raw_NX: Bytes) -> Floats:
    """w = d·(q − 8)."""
    return _half(raw_NX, 0) * (_nibbles(raw_NX[:, 2:]) - 8)


def _q4_1(raw_NX: Bytes) -> Floats:
    """w = d·q + m."""
    return _half(raw_NX, 0) * _nibbles(raw_NX[:, 4:]) + _half(raw_NX, 2)


def _q5_0(raw_NX: Bytes) -> Floats:
    """w = d·(q − 16), the fifth bits before the four others."""
    return _half(raw_NX, 0) * (_nibbles(raw_NX[:, 6:]) + _fifth_bits(raw_NX[:, 2:6]) - 16)


def _q5_1(raw_NX: Bytes) -> Floats:
    """w = d·q + m."""
    return _half(raw_NX, 0) * (_nibbles(raw_NX[:, 8:]) + _fifth_bits(raw_NX[:, 4:8])) + _half(raw_NX, 2)


def _q8_0(raw_NX: Bytes) -> Floats:
    """w = d·q."""
    return _half(raw_NX, 0) * raw_NX[:, 2:].view(np.int8).astype(np.float32)


def _scales(raw_N12: Bytes) -> tuple[Floats, Floats]:
    """Six-bit scales and least values of eight sub-blocks (N, 8): four whole, four whose upper bits lie in others'."""
    a_N4, b_N4, c_N4 = raw_N12[:, :4], raw_N12[:, 4:8], raw_N12[:, 8:]
    scales_N8 = np.concatenate([a_N4 & 63, (c_N4 & 15) | (a_N4 >> 6 << 4)], axis=1)
    least_N8 = np.concatenate([b_N4 & 63, (c_N4 >> 4) | (b_N4 >> 6 << 4)], axis=1)
    return scales_N8.astype(np.float32), least_N8.astype(np.float32)


def _by_sub_block(raw_NX: Bytes, quants_NSW: Floats) -> Floats:
    """w = (d·scale)·q − (m·least), sub-block by sub-block."""
    scales_NS, least_NS = _scales(raw_NX[:, 4:16])
    scale_NS1, least_NS1 = ((_half(raw_NX, at) * of_NS)[..., None] for at, of_NS in ((0, scales_NS), (2, least_NS)))
    return (scale_NS1 * quants_NSW - least_NS1).reshape(len(raw_NX), -1)


def _pairs_of_sub_blocks(raw_NX: Bytes) -> Floats:
    """Every 32 bytes hold a sub-block in their lower halves and the next in their upper ones: (N, 128) → (N, 8, 32)."""
    return _nibbles(raw_NX.reshape(-1, 32)).reshape(len(raw_NX), 8, 32)


def _q4_k(raw_NX: Bytes) -> Floats:
    return _by_sub_block(raw_NX, _pairs_of_sub_blocks(raw_NX[:, 16:]))


def _q5_k(raw_NX: Bytes) -> Floats:
    """Sub-block s has its fifth bits in bit s of 32 bytes."""
    fifth_NSW = (raw_NX[:, None, 16:48] >> np.arange(8, dtype=np.uint8)[:, None] & 1).astype(np.float32)
    return _by_sub_block(raw_NX, _pairs_of_sub_blocks(raw_NX[:, 48:]) + 16 * fifth_NSW)


def _q6_k(raw_NX: Bytes) -> Floats:
    """w = d·scale·(q − 32), a scale for every 16 weights; each half: 64 bytes of lower bits, 32 of upper ones."""
    num = len(raw_NX)
    lower_NHW = _nibbles(raw_NX[:, :128].reshape(-1, 64)).reshape(num, 2, 128)
    shift_41 = np.arange(0, 8, 2, dtype=np.uint8)[:, None]
    upper_NHW = (raw_NX[:, 128:192].reshape(num, 2, 1, 32) >> shift_41 & 3).reshape(num, 2, 128)
    quants_NSW = (lower_NHW + 16 * upper_NHW.astype(np.float32) - 32).reshape(num, 16, 16)
    scale_NS = _half(raw_NX, 208) * raw_NX[:, 192:208].view(np.int8).astype(np.float32)
    return (scale_NS[..., None] * quants_NSW).reshape(num, -1)


LAYOUTS = {
    0: Layout("F32", 1, 4, _f32),
    1: Layout("F16", 1, 2, _f16),
    2: Layout("Q4_0", 32, 18, _q4_0),
    3: Layout("Q4_1", 32, 20, _q4_1),
    6: Layout("Q5_0", 32, 22, _q5_0),
    7: Layout("Q5_1", 32, 24, _q5_1),
    8: Layout("Q8_0", 32, 34, _q8_0),
    12: Layout("Q4_K", 256, 144, _q4_k),
    13: Layout("Q5_K", 256, 176, _q5_k),
    14: Layout("Q6_K", 256, 210, _q6_k),
    30: Layout("BF16", 1, 2, _bf16),
}
"""By ggml's number of the type."""
