"""`discriminator.onnx`: whether a text is real.

Shapes: B texts, T tokens of the longest.
"""

import torch
from onnx import ModelProto
from torch import Tensor, nn

from gdcore.contracts import Discriminator
from gdcore.export.builder import FLOAT, INT64, Graph
from gdcore.export.tracing import trace


def discriminator_model(discriminator: Discriminator, opset: int) -> ModelProto:
    """The judging graph.

    Inputs: `tokens` (B, T), from BOS to EOS, padded on the right; `lengths` (B).
    Outputs: `logits` (B), positive means «real»; a causal discriminator also has `token_logits` (B, T), its verdict on
    each prefix.
    """
    g = Graph()
    tokens_BT = g.input("tokens", INT64, ["batch", "time"])
    lengths_B = g.input("lengths", INT64, ["batch"])
    num_tokens = g.Squeeze(g.Shape(tokens_BT, start=1, end=2), [0])
    mask_BT = g.Less(g.Range(0, num_tokens, 1), g.Unsqueeze(lengths_B, [1]))
    axes = {0: "batch", 1: "time"}
    example_BT = torch.zeros(2, 7, dtype=torch.long)
    verdicts = trace(_Verdicts(discriminator), [(example_BT, axes), (example_BT == 0, axes)], opset)
    outputs = [("logits", ["batch"]), ("token_logits", ["batch", "time"])]
    for (name, dimensions), value in zip(outputs, g.inline(verdicts, [tokens_BT, mask_BT]), strict=False):
        g.output(name, value, FLOAT, dimensions)
    return g.model("judge", opset)


class _Verdicts(nn.Module):
    """A discriminator's verdict on each text and, if it has one, on each prefix."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, ...]:
        logits_B = self.discriminator(tokens_BT, mask_BT).float()
        per_token = getattr(self.discriminator, "token_logits", None)
        return (logits_B,) if per_token is None else (logits_B, per_token(tokens_BT, mask_BT).float())
