"""`discriminator.onnx`: whether a text is real; `classifier.onnx`: which class it belongs to.

Shapes: B texts, T tokens of the longest, K classes.
"""

from typing import Any

import torch
from onnx import ModelProto
from torch import Tensor, nn

from gdcore.contracts import Discriminator
from gdcore.export import chains
from gdcore.export.builder import FLOAT, INT64, Graph
from gdcore.export.tracing import trace


def discriminator_model(discriminator: Discriminator, opset: int) -> ModelProto:
    """The judging graph.

    Inputs: `tokens` (B, T), from BOS to EOS, padded on the right; `lengths` (B).
    Outputs: `logits` (B), positive means «real»; a causal discriminator also has `token_logits` (B, T), its verdict on
    each prefix, and a CRF `token_probabilities` (B, T), how probably each token is real (0 on PAD).
    """
    g = Graph()
    inputs = _inputs(g)
    logits, per_token = ("logits", ["batch"]), ["batch", "time"]
    if hasattr(discriminator, "emissions"):
        values = _chain(g, discriminator, inputs, opset)
        outputs = [logits, ("token_probabilities", per_token)]
    else:
        values = g.inline(_traced(_Verdicts(discriminator), opset), inputs)
        outputs = [logits, ("token_logits", per_token)]
    for (name, dimensions), value in zip(outputs, values, strict=False):
        g.output(name, value, FLOAT, dimensions)
    return g.model("judge", opset)


def classifier_model(classifier: Discriminator, opset: int) -> ModelProto:
    """The classifying graph: inputs as above; `logits` (B, K)."""
    g = Graph()
    (logits_BK,) = g.inline(_traced(_Classes(classifier), opset), _inputs(g))
    g.output("logits", logits_BK, FLOAT, ["batch", "class"])
    return g.model("classify", opset)


def _inputs(g: Graph) -> list[str]:
    """Tokens and mask, from tokens and lengths."""
    tokens_BT = g.input("tokens", INT64, ["batch", "time"])
    lengths_B = g.input("lengths", INT64, ["batch"])
    num_tokens = g.Squeeze(g.Shape(tokens_BT, start=1, end=2), [0])
    return [tokens_BT, g.Less(g.Range(0, num_tokens, 1), g.Unsqueeze(lengths_B, [1]))]


def _traced(module: nn.Module, opset: int) -> ModelProto:
    """A module of tokens and mask."""
    axes = {0: "batch", 1: "time"}
    example_BT = torch.zeros(2, 7, dtype=torch.long)
    return trace(module, [(example_BT, axes), (example_BT == 0, axes)], opset)


def _chain(g: Graph, crf: Any, inputs: list[str], opset: int) -> list[str]:
    """A CRF's verdicts: torch's exporter knows no loop over tokens, so its sums are built by hand."""
    # One PAD more, for onnxruntime dies of a loop that collects nothing, as it would of a single token.
    tokens_BT, mask_BT = (g.Pad(each, [0, 0, 0, 1]) for each in inputs)
    (emissions_BTS,) = g.inline(_traced(_Emissions(crf), opset), [tokens_BT, mask_BT])
    transitions_SS, real = crf.transitions.detach().numpy(), 1
    logits_B = chains.log_odds_of_constant(g, emissions_BTS, transitions_SS, real, mask_BT)
    real_BT = g.Gather(chains.marginals(g, emissions_BTS, transitions_SS, mask_BT), real, axis=2)
    return [logits_B, g.Slice(g.Where(mask_BT, real_BT, 0.0), [0], [-1], [1])]


class _Verdicts(nn.Module):
    """A discriminator's verdict on each text and, if it has one, on each prefix."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, ...]:
        logits_B = self.discriminator(tokens_BT, mask_BT).float()
        per_token = getattr(self.discriminator, "token_logits", None)
        return (logits_B,) if per_token is None else (logits_B, per_token(tokens_BT, mask_BT).float())


class _Classes(nn.Module):
    """A classifier's logits."""

    def __init__(self, classifier: Discriminator) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return self.classifier(tokens_BT, mask_BT).float()


class _Emissions(nn.Module):
    """What a CRF says of each token by itself."""

    def __init__(self, crf: Any) -> None:
        super().__init__()
        self.crf = crf

    def forward(self, tokens_BT: Tensor, mask_BT: Tensor) -> Tensor:
        return self.crf.emissions(tokens_BT, mask_BT)
