"""The sums over all labellings of a text (`gdcore.networks.chains`) as ONNX loops, for the CRF.

Shapes: B texts, T tokens, S labels.
"""

from collections.abc import Callable

import numpy as np

from gdcore.export.builder import FLOAT, Graph
from gdcore.networks.chains import NEVER
from gdcore.serving.runtime import Array


def log_odds_of_constant(g: Graph, emissions_BTS: str, transitions_SS: Array, label: int, mask_BT: str) -> str:
    """As `gdcore.networks.chains.log_odds_of_constant`: `(B,)`."""
    is_label_S = np.arange(len(transitions_SS)) == label
    leaving_S = np.where(is_label_S, NEVER, transitions_SS[label]).astype(np.float32)
    first_BS = g.Gather(emissions_BTS, 0, axis=1)

    def body(b: Graph, trip: str, constant_B1: str, others_BS: str) -> tuple[str, list[str], list[tuple[str, int]]]:
        emission_BS, inside_B1 = _token(b, b.Add(trip, 1), emissions_BTS, mask_BT)
        ways = b.Concat(
            _arriving(b, others_BS, transitions_SS), b.Unsqueeze(b.Add(constant_B1, leaving_S), [1]), axis=1
        )
        arriving_BS = b.Add(b.ReduceLogSumExp(ways, [1], keepdims=0), emission_BS)
        staying_B1 = b.Add(b.Add(constant_B1, transitions_SS[label, label]), b.Gather(emission_BS, [label], axis=1))
        carried = [b.Where(inside_B1, staying_B1, constant_B1), b.Where(inside_B1, arriving_BS, others_BS)]
        return b.constant(np.True_), carried, []

    start = [
        (g.Gather(first_BS, [label], axis=1), FLOAT),
        (g.Where(is_label_S, np.float32(NEVER), first_BS), FLOAT),
    ]
    constant_B1, others_BS = g.Loop(_steps(g, emissions_BTS), start, body)
    return g.Squeeze(g.Sub(constant_B1, g.ReduceLogSumExp(others_BS, [1], keepdims=1)), [1])


def marginals(g: Graph, emissions_BTS: str, transitions_SS: Array, mask_BT: str) -> str:
    """As `gdcore.networks.chains.marginals`: `(B,T,S)`."""
    steps = _steps(g, emissions_BTS)
    first_BS = g.Gather(emissions_BTS, 0, axis=1)

    def forward(b: Graph, trip: str, alpha_BS: str) -> str:
        emission_BS, inside_B1 = _token(b, b.Add(trip, 1), emissions_BTS, mask_BT)
        summed_BS = b.ReduceLogSumExp(_arriving(b, alpha_BS, transitions_SS), [1], keepdims=0)
        return b.Where(inside_B1, b.Add(summed_BS, emission_BS), alpha_BS)

    def backward(b: Graph, trip: str, beta_BS: str) -> str:
        emission_BS, inside_B1 = _token(b, b.Sub(steps, trip), emissions_BTS, mask_BT)
        ahead_B1S = b.Unsqueeze(b.Add(emission_BS, beta_BS), [1])
        return b.Where(inside_B1, b.ReduceLogSumExp(b.Add(ahead_B1S, transitions_SS), [2], keepdims=0), beta_BS)

    last_BS = g.Mul(first_BS, 0.0)
    alphas_TBS = g.Concat(g.Unsqueeze(first_BS, [0]), _scan(g, steps, first_BS, forward), axis=0)
    turned_TBS = g.Concat(g.Unsqueeze(last_BS, [0]), _scan(g, steps, last_BS, backward), axis=0)
    betas_TBS = g.Slice(turned_TBS, [-1], [np.iinfo(np.int64).min], [0], [-1])
    return g.Softmax(g.Transpose(g.Add(alphas_TBS, betas_TBS), perm=[1, 0, 2]), axis=-1)


def _scan(g: Graph, steps: str, start_BS: str, step: Callable[[Graph, str, str], str]) -> str:
    """What `step(graph, trip, before)` gives each time, on a new first axis."""

    def body(b: Graph, trip: str, before_BS: str) -> tuple[str, list[str], list[tuple[str, int]]]:
        after_BS = step(b, trip, before_BS)
        return b.constant(np.True_), [after_BS], [(after_BS, FLOAT)]

    return g.Loop(steps, [(start_BS, FLOAT)], body)[1]


def _steps(g: Graph, emissions_BTS: str) -> str:
    """T − 1."""
    return g.Sub(g.Squeeze(g.Shape(emissions_BTS, start=1, end=2), [0]), 1)


def _token(b: Graph, position: str, emissions_BTS: str, mask_BT: str) -> tuple[str, str]:
    """The emissions `(B,S)` of one token, and whether it is one `(B,1)`."""
    return b.Gather(emissions_BTS, position, axis=1), b.Unsqueeze(b.Gather(mask_BT, position, axis=1), [1])


def _arriving(b: Graph, before_BS: str, transitions_SS: Array) -> str:
    """Each way `(B,S,S)` from a label to the next."""
    return b.Add(b.Unsqueeze(before_BS, [2]), transitions_SS)
