"""The generator's graphs in eight bits, and what that costs: measured on held-out text, recorded, and asserted."""

from collections.abc import Generator as Steps
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto

from gdcore.batches import collate
from gdcore.errors import UserError
from gdcore.export import weights
from gdcore.export.decode import decode_model
from gdcore.export.generation import generation_model
from gdcore.export.int8 import NotQuantised
from gdcore.export.parity import BATCH_SIZE, ParityError
from gdcore.export.scoring import scoring_model
from gdcore.export.step import Step
from gdcore.progress import Progress
from gdcore.serving.runtime import Graph
from gdcore.shards import Shards


@dataclass
class Cost:
    """What the twins are worth: of held-out tokens the mean NLL, in nats, and the bytes of graphs and weights."""

    texts: int
    tokens: int
    nll: float
    nll_int8: float
    allowed: float
    """By how much the second may be larger than the first."""
    bytes: int
    bytes_int8: int

    @property
    def change(self) -> float:
        return self.nll_int8 - self.nll

    def check(self) -> None:
        """Raise ParityError, with the numbers, unless the twins are as good as they must be."""
        if not self.change <= self.allowed:  # NaN is not
            raise ParityError(
                f"with weights of eight bits held-out text costs {self.nll_int8:.4f} nats a token instead of "
                f"{self.nll:.4f} ({self.change:+.4f}, allowed {self.allowed:g}): leave export.int8 off, or allow more "
                "with export.int8_nll"
            )


def write(bundle: Path, step: Step, opset: int) -> dict[str, ModelProto]:
    """`generate.int8.onnx`, `decode.int8.onnx` and `model.int8.onnx`; what they share is in `weights.int8.bin`.

    Raises UserError for a model that has none.
    """
    try:
        small = step.in_int8()
    except NotQuantised as error:
        raise UserError(f"export.int8: {error}; leave it off for this generator") from None
    graphs = {
        "generate.int8.onnx": generation_model(small, opset),
        "decode.int8.onnx": decode_model(small, opset),
        "model.int8.onnx": scoring_model(small, opset),
    }
    weights.write(bundle, graphs, "weights.int8.bin")
    return graphs


def measure(bundle: Path, context: int, shards: Shards, num_texts: int, allowed: float) -> Steps[Progress, None, Cost]:
    """Score `num_texts` texts of a split, or as many as fit the context, with `model.onnx` and its twin."""
    graphs = [Graph(bundle / "model.onnx"), Graph(bundle / "model.int8.onnx")]
    rows = np.random.default_rng(0).permutation(np.flatnonzero(shards.lengths_N + 3 <= context))[:num_texts]
    sums, tokens = [0.0, 0.0], 0
    for start in range(0, len(rows), BATCH_SIZE):
        batch = collate(shards, rows[start : start + BATCH_SIZE])
        lengths_B = batch.mask_BT.sum(dim=1).numpy()
        for i, graph in enumerate(graphs):
            (nll_BT,) = graph(["nll"], tokens=batch.tokens_BT.numpy(), lengths=lengths_B)
            sums[i] += float(nll_BT.astype(np.float64).sum())
        tokens += int((lengths_B - 1).sum())
        yield Progress(start + len(batch), len(rows), "what eight bits cost")
    sizes = [_bytes(bundle, precision) for precision in ("", ".int8")]
    return Cost(len(rows), tokens, sums[0] / tokens, sums[1] / tokens, allowed, *sizes)


def _bytes(bundle: Path, precision: str) -> int:
    """Of the generator's graphs in one precision, and of what they share."""
    files = [bundle / f"{name}{precision}.onnx" for name in ("generate", "decode", "model")]
    return sum(path.stat().st_size for path in (*files, bundle / f"weights{precision}.bin") if path.exists())
