"""Random numbers that are a function of (seed, step) and of nothing else.

A text draws its n-th new token with number n of its own seed, so it comes out the same whatever texts share its batch,
however long its prompt is and whichever runtime computes it. The generator is a counter hashed twice by the 32-bit
finaliser of MurmurHash3 (Appleby 2011, public domain), keyed by the seed; `gdcore/export/sampler.py` computes the same
bits in an ONNX graph, where 32-bit products are all that int64 arithmetic does exactly. Not for cryptography.

Shape letters: N seeds, S steps, C candidates a text.
"""

import numpy as np
from numpy.typing import NDArray

GOLDEN_32 = 0x9E3779B9
GOLDEN_64 = 0x9E3779B97F4A7C15
NORMALS = 3 << 30
"""Number of a seed's uniforms that its normal numbers begin with; its tokens never get so far."""


def uniforms(seeds_N: NDArray[np.int64], start: int, count: int) -> NDArray[np.float32]:
    """The numbers `start … start + count - 1` of every seed, float32 (N, count), strictly between 0 and 1.

    Each is an odd multiple of 2⁻²⁴: 23 random bits, then a half, which float32 holds exactly (with 24 bits the largest
    would round up to 1). Any int64 is a seed; steps go up to 2³².
    """
    seeds_N = np.asarray(seeds_N, np.int64)
    low_N, high_N = (seeds_N & 0xFFFFFFFF).astype(np.uint32), (seeds_N >> 32 & 0xFFFFFFFF).astype(np.uint32)
    key_N1 = _fmix32(_fmix32(low_N) ^ high_N ^ np.uint32(GOLDEN_32))[:, None]
    counter_S = np.arange(start, start + count, dtype=np.uint32) * np.uint32(GOLDEN_32)
    bits_NS = _fmix32(_fmix32(counter_S + key_N1) ^ key_N1)
    return _to_uniform(bits_NS)


def redraw(uniform_N: NDArray[np.float32], attempt: int) -> NDArray[np.float32]:
    """The number (N,) for attempt 1, 2, … after a draw was refused, hashed from the bits of its first number."""
    bits_N = (np.asarray(uniform_N, np.float32) * np.float32(2**24)).astype(np.uint32)
    return _to_uniform(_fmix32(_fmix32(bits_N) + np.uint32(attempt * GOLDEN_32 & 0xFFFFFFFF)))


def normals(seeds_N: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """`count` standard normal numbers of every seed, float32 (N, count); of other bits than its first 3·2³⁰ uniforms.

    Box & Muller 1958; `gdcore/export/sampler.py` computes the same, to within rounding.
    """
    uniform_NS = uniforms(seeds_N, NORMALS, count + count % 2)
    radius, angle = np.sqrt(-2 * np.log(uniform_NS[:, ::2])), np.float32(2 * np.pi) * uniform_NS[:, 1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=2).reshape(uniform_NS.shape)[:, :count]


def row_seeds(seed: int, count: int, start: int = 0) -> NDArray[np.int64]:
    """The seeds of texts `start … start + count - 1` of a call with `seed`: (count,), any int64.

    SplitMix64 (Steele, Lea & Flood 2014): text i of a call is the same however the call is cut into batches, and
    neighbouring seeds share no texts.
    """
    with np.errstate(over="ignore"):
        base = _mix64(np.array([seed & 0xFFFFFFFFFFFFFFFF], np.uint64))
        return _mix64(base + np.arange(start, start + count, dtype=np.uint64) * np.uint64(GOLDEN_64)).view(np.int64)


def candidate_seeds(seeds_N: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The seeds (N, C) of the candidates of each text: the first is the text's own, the j-th `row_seeds(own, 1, j)`."""
    with np.errstate(over="ignore"):
        step_C = np.arange(count, dtype=np.uint64) * np.uint64(GOLDEN_64)
        seeds_NC = _mix64(_mix64(seeds_N.view(np.uint64))[:, None] + step_C).view(np.int64)
    seeds_NC[:, 0] = seeds_N
    return seeds_NC


def _to_uniform(bits: NDArray[np.uint32]) -> NDArray[np.float32]:
    return (bits >> np.uint32(9)).astype(np.float32) * np.float32(2**-23) + np.float32(2**-24)


def _fmix32(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))


def _mix64(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(GOLDEN_64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
