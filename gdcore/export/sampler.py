"""The next token, drawn inside an ONNX graph: the same draw as `gdcore.sampling.pick`, from the same numbers.

Exact inverse CDF in vocabulary order, in two levels: the mass of each block of tokens, then the tokens of one block; a
scan over the whole vocabulary would be an order of magnitude slower. Top-p and min-p cut without sorting.

Shapes: B texts, V vocabulary, S steps, N blocks, W tokens a block, K tokens kept by top-k.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gdcore.export.builder import BOOL, FLOAT, INT64, Graph, Typed
from gdcore.uniforms import GOLDEN_32, NORMALS

MASK_32 = 0xFFFFFFFF
BELOW_ONE = np.float32(1 - 2**-23)
"""Times a total, this is below that total: a threshold so capped always falls on a token that has mass."""
COLDEST = 1e-6
"""At this temperature and below the likeliest token is taken: dividing by it might overflow."""


class Decoding(NamedTuple):
    """The graph's values of `gdcore.decoding.Decoding`, all scalars."""

    temperature: str
    top_k: str
    top_p: str
    min_p: str


def draw(
    g: Graph,
    logits_BV: str,
    uniform_B: str,
    decoding: Decoding,
    vocab_size: int,
    forbidden: Sequence[int],
    each: bool = False,
) -> str:
    """The next token (B); `forbidden` ones are never drawn.

    `each`: every text has a decoding of its own, but for top-k; the values of the others are then of shape (B, 1).
    """
    mask_V = np.zeros(vocab_size, np.float32)
    mask_V[list(forbidden)] = -np.inf
    logits_BV, uniform_B1 = g.Add(logits_BV, mask_V), g.Unsqueeze(uniform_B, [1])

    def among_top_k(b: Graph) -> str:
        size = b.Reshape(b.Min(decoding.top_k, vocab_size), [1])
        best_BK, id_BK = b.many("TopK", 2, logits_BV, size)  # of equals, the lower id
        id_BK, order_BK = b.many("TopK", 2, id_BK, size, largest=0)  # back into vocabulary order
        mass_BK = b.Softmax(b.Div(b.GatherElements(best_BK, order_BK, axis=1), decoding.temperature), axis=1)
        return b.GatherElements(id_BK, _pick(b, b.Unsqueeze(mass_BK, [1]), uniform_B1, decoding, each), axis=1)

    def among_all(b: Graph) -> str:
        mass_BV = b.Softmax(b.Div(logits_BV, decoding.temperature), axis=1)
        width = 128 if vocab_size <= 2**14 else 256
        if spare := -vocab_size % width:
            mass_BV = b.Pad(mass_BV, [0, 0, 0, spare])
        mass_BNW = b.Reshape(mass_BV, [0, (vocab_size + spare) // width, width])
        return _pick(b, mass_BNW, uniform_B1, decoding, each)

    def drawn(b: Graph) -> str:
        return b.Squeeze(b.If(b.Greater(decoding.top_k, 0), among_top_k, among_all, INT64), [1])

    def likeliest(b: Graph) -> str:
        return b.ArgMax(logits_BV, axis=1, keepdims=0)

    if each:
        cold_B1 = g.LessOrEqual(decoding.temperature, COLDEST)
        decoding = decoding._replace(temperature=g.Where(cold_B1, 1.0, decoding.temperature))
        cold_B = g.Squeeze(cold_B1, [1])
        return g.If(
            anywhere(g, cold_B),
            lambda b: b.Where(cold_B, likeliest(b), b.If(anywhere(b, b.Not(cold_B)), drawn, likeliest, INT64)),
            drawn,
            INT64,
        )
    return g.If(g.LessOrEqual(decoding.temperature, COLDEST), likeliest, drawn, INT64)


def _pick(g: Graph, mass_BNW: str, uniform_B1: str, decoding: Decoding, each: bool) -> str:
    """Where (B, 1), in the order of N·W, the draw falls."""
    sums_BN = g.ReduceSum(mass_BNW, [2], keepdims=0)
    first_B1 = _locate(g, mass_BNW, sums_BN, uniform_B1)

    def among_likely(b: Graph) -> str:
        """Refuse a token that top-p or min-p leaves out, and with it all that are no likelier; draw from the others.

        What is drawn from always holds all that is permitted, so what is accepted is distributed as that; and it
        shrinks fast, whatever p is: three or four passes instead of a sort.
        """
        # At top-p 1 nothing is outside: whether the sums' rounding reaches the limit must not decide.
        share = b.Where(b.Less(decoding.top_p, 1.0), decoding.top_p, 2.0)
        limit_B1 = b.Mul(share, b.ReduceSum(sums_BN, [1], keepdims=1))
        flat_BV = b.Reshape(mass_BNW, [0, -1])
        least_B1 = b.Mul(decoding.min_p, b.ReduceMax(flat_BV, [1], keepdims=1))
        key_B1 = _fmix32(b, b.Cast(b.Mul(uniform_B1, float(2**24)), to=INT64))

        def attempt(x: Graph, trip: str, place_B1: str) -> tuple[str, list[str], list[Typed]]:
            here_B1 = x.GatherElements(flat_BV, place_B1, axis=1)
            likelier_BNW = x.Where(x.Greater(mass_BNW, x.Unsqueeze(here_B1, [2])), mass_BNW, 0.0)
            sums_BN = x.ReduceSum(likelier_BNW, [2], keepdims=0)
            beyond_B1 = x.GreaterOrEqual(x.ReduceSum(sums_BN, [1], keepdims=1), limit_B1)
            outside_B1 = x.Or(beyond_B1, x.Less(here_B1, least_B1))
            counter = _product(x, x.Add(trip, 1), GOLDEN_32)
            again_B1 = _to_uniform(x, _fmix32(x, x.BitwiseAnd(x.Add(key_B1, counter), MASK_32)))
            place_B1 = x.Where(outside_B1, _locate(x, likelier_BNW, sums_BN, again_B1), place_B1)
            return anywhere(x, outside_B1), [place_B1], []

        return b.Loop("", [(first_B1, INT64)], attempt)[0]

    cut = g.Or(g.Less(decoding.top_p, 1.0), g.Greater(decoding.min_p, 0.0))
    return g.If(anywhere(g, cut) if each else cut, among_likely, lambda b: b.Identity(first_B1), INT64)


def _locate(g: Graph, mass_BNW: str, sums_BN: str, uniform_B1: str) -> str:
    """The first place (B, 1), in the order of N·W, at which the cumulative mass exceeds that share of the total."""
    block_B1, cumulative_BN, threshold_B1 = _first_above(g, sums_BN, lambda total: g.Mul(uniform_B1, total))
    before_B1 = g.Sub(*(g.GatherElements(values_BN, block_B1, axis=1) for values_BN in (cumulative_BN, sums_BN)))
    # Rounding may leave a negative rest; at zero, leading tokens without mass are still passed over.
    rest_B1 = g.Max(g.Sub(threshold_B1, before_B1), 0.0)
    token_B1, *_ = _first_above(g, g.GatherND(mass_BNW, block_B1, batch_dims=1), lambda _: rest_B1)
    return g.Add(g.Mul(block_B1, g.Shape(mass_BNW, start=2)), token_B1)


def _first_above(g: Graph, mass: str, threshold: Callable[[str], str]) -> tuple[str, str, str]:
    """The first index (B, 1) at which the cumulative mass exceeds a threshold (which is told the total); then both."""
    cumulative = g.CumSum(mass, 1)
    total_B1 = g.ReduceMax(cumulative, [1], keepdims=1)
    threshold_B1 = g.Min(threshold(total_B1), g.Sub(g.Mul(total_B1, BELOW_ONE), 1e-30))  # a row without mass: index 0
    return count(g, g.LessOrEqual(cumulative, threshold_B1)), cumulative, threshold_B1


def count(g: Graph, flags: str) -> str:
    """How many (B, 1) of a row's flags (B, *) are true."""
    return g.ReduceSum(g.Cast(flags, to=INT64), [1], keepdims=1)


def anywhere(g: Graph, flags: str) -> str:
    """Whether any flag is true, a scalar."""
    return g.Cast(g.ReduceMax(g.Cast(flags, to=INT64), keepdims=0), to=BOOL)


def normals(g: Graph, seeds_B: str, count: int) -> str:
    """`gdcore.uniforms.normals(seeds, count)`, to within rounding: float (B, count)."""
    pairs = (count + 1) // 2
    uniform_BP2 = g.Reshape(uniforms(g, seeds_B, g.constant(2 * pairs), NORMALS), [0, pairs, 2])
    radius_BP1, angle_BP1 = g.many("Split", 2, uniform_BP2, [1, 1], axis=2)
    radius_BP1, angle_BP1 = g.Sqrt(g.Mul(g.Log(radius_BP1), -2.0)), g.Mul(angle_BP1, 2 * np.pi)
    both_BP2 = g.Concat(g.Mul(radius_BP1, g.Cos(angle_BP1)), g.Mul(radius_BP1, g.Sin(angle_BP1)), axis=2)
    return g.Slice(g.Reshape(both_BP2, [0, -1]), [0], [count], [1])


def uniforms(g: Graph, seeds_B: str, count: str, start: int = 0) -> str:
    """`gdcore.uniforms.uniforms(seeds, start, count)`, bit for bit: float (B, S)."""
    end = g.Add(count, start) if start else count
    return uniforms_at(g, seeds_B, g.Range(start, end, 1))


def uniforms_at(g: Graph, seeds_B: str, number: str) -> str:
    """The uniforms of these numbers, the same for every seed (S), or other ones for each (B, S): float (B, S)."""
    low_B = g.BitwiseAnd(seeds_B, MASK_32)
    high_B = g.BitwiseAnd(g.Div(g.Sub(seeds_B, low_B), 1 << 32), MASK_32)
    key_B1 = g.Unsqueeze(_fmix32(g, g.BitwiseXor(g.BitwiseXor(_fmix32(g, low_B), high_B), GOLDEN_32)), [1])
    counter = _product(g, number, GOLDEN_32)
    bits_BS = _fmix32(g, g.BitwiseXor(_fmix32(g, g.BitwiseAnd(g.Add(counter, key_B1), MASK_32)), key_B1))
    return _to_uniform(g, bits_BS)


def _to_uniform(g: Graph, bits: str) -> str:
    return g.Add(g.Mul(g.Cast(g.Div(bits, 1 << 9), to=FLOAT), 2.0**-23), 2.0**-24)


def _product(g: Graph, x: str, factor: int) -> str:
    """x · factor modulo 2³²; in two halves, for the whole product would overflow int64."""
    high = g.Mul(g.BitwiseAnd(g.Mul(x, factor >> 16), 0xFFFF), 1 << 16)
    return g.BitwiseAnd(g.Add(high, g.Mul(x, factor & 0xFFFF)), MASK_32)


def _fmix32(g: Graph, x: str) -> str:
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = _product(g, g.BitwiseXor(x, g.Div(x, 1 << shift)), factor)
    return g.BitwiseXor(x, g.Div(x, 1 << 16))
