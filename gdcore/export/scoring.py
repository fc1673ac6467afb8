"""`model.onnx`: how likely the generator finds given texts, and what it expects next.

It reads a token of every text a turn, so that no more than (B, V) logits are in memory at once.

Shapes: B texts, T tokens of the longest, V vocabulary.
"""

import numpy as np
from onnx import ModelProto

from gdcore.export.builder import FLOAT, INT64, Graph, Typed
from gdcore.export.step import Step


def scoring_model(step: Step, opset: int) -> ModelProto:
    """The scoring graph.

    Inputs: `tokens` (B, T), from BOS on, padded on the right, T ≥ 2; `lengths` (B), at least 1.
    Outputs: `nll` (B, T), that of each token given those before it, in nats, 0 on BOS and PAD; `next_logits` (B, V),
    those of the token that would follow each text.
    """
    g = Graph()
    tokens_BT = g.input("tokens", INT64, ["batch", "time"])
    lengths_B = g.input("lengths", INT64, ["batch"])
    last_B = g.Sub(lengths_B, 1)
    empty = step.initial_state(g, g.Shape(tokens_BT, start=0, end=1))

    def turn(b: Graph, trip: str, *state: str) -> tuple[str, list[str], list[Typed]]:
        logits_BV, after = step(b, b.Gather(tokens_BT, trip, axis=1), *state)
        target_B1 = b.Gather(tokens_BT, b.Unsqueeze(b.Add(trip, 1), [0]), axis=1)
        logprob_B1 = b.GatherElements(b.LogSoftmax(logits_BV, axis=1), target_B1, axis=1)
        inside_B = b.Less(trip, last_B)
        nll_B = b.Where(inside_B, b.Neg(b.Squeeze(logprob_B1, [1])), 0.0)
        # The last token of a text stays unread, for the step after the loop.
        kept = [
            b.Where(b.Reshape(inside_B, [-1] + [1] * (rank - 2)), new, old)
            for new, old, rank in zip(after, state, step.state_ranks, strict=True)
        ]
        return b.constant(np.True_), kept, [(nll_B, FLOAT)]

    *state, nll_SB = g.Loop(g.Sub(g.Squeeze(g.Shape(tokens_BT, start=1, end=2), [0]), 1), empty, turn)
    last_token_B = g.Squeeze(g.GatherElements(tokens_BT, g.Unsqueeze(last_B, [1]), axis=1), [1])
    next_logits_BV, _ = step(g, last_token_B, *state)
    g.output("nll", g.Pad(g.Transpose(nll_SB, perm=[1, 0]), [0, 1, 0, 0]), FLOAT, ["batch", "time"])
    g.output("next_logits", next_logits_BV, FLOAT, ["batch", step.vocab_size])
    return g.model("score", opset)
