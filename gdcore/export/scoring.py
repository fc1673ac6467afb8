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

    Inputs: `tokens` (B, T), from BOS on, padded on the right; `lengths` (B), at least 1.
    Outputs: `nll` (B, T), that of each token given those before it, in nats, 0 on BOS and PAD; `next_logits` (B, V),
    those of the token that would follow each text. Of a generator with latent variables what
    `gdcore.likelihood.logprobs` gives: a bound, with the noise inferred from the text as far as it is given, and what
    is not known about it charged to the last token.
    """
    g = Graph()
    tokens_BT = g.input("tokens", INT64, ["batch", "time"])
    lengths_B = g.input("lengths", INT64, ["batch"])
    batch_1, num_tokens = g.Shape(tokens_BT, start=0, end=1), g.Squeeze(g.Shape(tokens_BT, start=1, end=2), [0])
    last_B1, last_token = g.Unsqueeze(g.Sub(lengths_B, 1), [1]), g.Sub(num_tokens, 1)
    next_logits_BV = g.Expand(0.0, g.Concat(batch_1, [step.vocab_size], axis=0))

    def turn(b: Graph, trip: str, next_logits_BV: str, *state: str) -> tuple[str, list[str], list[Typed]]:
        logits_BV, after = step(b, b.Gather(tokens_BT, trip, axis=1), *state)
        target_B1 = b.Gather(tokens_BT, b.Unsqueeze(b.Min(b.Add(trip, 1), last_token), [0]), axis=1)
        logprob_B1 = b.GatherElements(b.LogSoftmax(logits_BV, axis=1), target_B1, axis=1)
        nll_B = b.Squeeze(b.Where(b.Less(trip, last_B1), b.Neg(logprob_B1), 0.0), [1])
        next_logits_BV = b.Where(b.Equal(trip, last_B1), logits_BV, next_logits_BV)
        return b.constant(np.True_), [next_logits_BV, *after], [(nll_B, FLOAT)]

    position_T = g.Range(0, num_tokens, 1)
    noise_BZ, cost_B = step.inferred(g, tokens_BT, g.LessOrEqual(position_T, last_B1)) if step.noise_dim else (None, "")
    carried = [(next_logits_BV, FLOAT), *step.initial_state(g, batch_1, noise_BZ)]
    next_logits_BV, *_, nll_TB = g.Loop(num_tokens, carried, turn)
    # At turn t the nll of token t + 1 was found.
    nll_BT = g.Slice(g.Pad(g.Transpose(nll_TB, perm=[1, 0]), [0, 1, 0, 0]), [0], [-1], [1])
    if step.noise_dim:
        nll_BT = g.Add(nll_BT, g.Where(g.Equal(position_T, last_B1), g.Unsqueeze(cost_B, [1]), 0.0))
    g.output("nll", nll_BT, FLOAT, ["batch", "time"])
    g.output("next_logits", next_logits_BV, FLOAT, ["batch", step.vocab_size])
    return g.model("score", opset)
