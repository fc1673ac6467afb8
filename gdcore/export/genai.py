"""A `transformer` generator as onnxruntime-genai runs it: `genai.onnx` and `genai_config.json`.

The bundle's own graphs draw inside, from a text's seed; onnxruntime-genai draws outside, and wants a graph that reads
any number of tokens of every text at once beside keys and values of those before: `input_ids` (B, T),
`attention_mask` (B, P + T), `position_ids` (B, T), `past_key_values.N.key` and `.value` (B, K, P, E) → `logits`
(B, T, V), `present.N.key` and `.value` (B, K, P + T, E). Padding, on either side, is where the mask is 0. It cannot be
told which tokens stand for no text, so their logits are −∞ here.

Shapes: B texts, T tokens read, P tokens read before, S = P + T, N = B·T, V vocabulary, H heads, K heads of keys and
values, G = H/K heads that share one, E features of a head.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from torch import Tensor, nn

from gdcore.batches import collate
from gdcore.export.builder import FLOAT, INT64, Graph
from gdcore.export.parity import BATCH_SIZE, Difference, ParityError
from gdcore.export.tracing import trace
from gdcore.generators import transformer
from gdcore.sampling import FORBIDDEN
from gdcore.serving.runtime import Graph as Runtime
from gdcore.shards import Shards
from gdcore.tokenizer import BOS, EOS, PAD

GRAPH, CONFIG = "genai.onnx", "genai_config.json"
PAST, PRESENT = "past_key_values.{}.{}", "present.{}.{}"
EXAMPLE = (2, 5, 3)
"""Texts, tokens and tokens before, in what the graph is traced with."""


def write_genai(generator: transformer.Generator, opset: int, out: Path) -> ModelProto:
    """Write both files into a folder; returns the graph."""
    model = genai_model(generator, opset)
    (out / GRAPH).write_bytes(model.SerializeToString(deterministic=True))
    (out / CONFIG).write_text(json.dumps(genai_config(generator), indent=2) + "\n", "utf-8")
    return model


def genai_config(generator: transformer.Generator) -> dict[str, Any]:
    """What onnxruntime-genai must know of the graph, and how to draw as gdflow does."""
    config = generator.config
    decoder = {
        "filename": GRAPH,
        "session_options": {"provider_options": []},
        "hidden_size": config.hidden_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "head_size": config.head_dim,
        "inputs": {
            **{name: name for name in ("input_ids", "attention_mask", "position_ids")},
            **{f"past_{kind}_names": PAST.format("%d", kind) for kind in ("key", "value")},
        },
        "outputs": {
            "logits": "logits",
            **{f"present_{kind}_names": PRESENT.format("%d", kind) for kind in ("key", "value")},
        },
    }
    model = {
        "type": "llama",
        "vocab_size": generator.vocab_size,
        "context_length": generator.context,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "decoder": decoder,
    }
    drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    # The cache grows by what is read: keys and values come out longer than they went in.
    search = {**drawn, "max_length": generator.context, "past_present_share_buffer": False}
    return {"model": model, "search": search}


def genai_model(generator: transformer.Generator, opset: int) -> ModelProto:
    """The graph."""
    config = generator.config
    size, time, read = EXAMPLE
    heads, head_dim = config.num_kv_heads, config.head_dim
    # Each input a tensor of its own: what is handed in twice is one input for torch's exporter.
    whole = [(torch.ones(size, time, dtype=torch.long), {0: "batch", 1: "time"}) for _ in range(3)]
    before = torch.ones(size, read, dtype=torch.long), {0: "batch", 1: "read"}
    cache = [(torch.zeros(size, heads, read, head_dim), {0: "batch", 2: "read"}) for _ in range(2 * config.num_layers)]
    traced = trace(_Cached(generator), [*whole[:2], before, whole[2], *cache], opset)
    names = [(i, kind) for i in range(config.num_layers) for kind in ("key", "value")]
    g = Graph()
    tokens_BT = g.input("input_ids", INT64, ["batch", "time"])
    mask_BS = g.input("attention_mask", INT64, ["batch", "total"])
    position_BT = g.input("position_ids", INT64, ["batch", "time"])
    past = [g.input(PAST.format(*name), FLOAT, ["batch", heads, "read", head_dim]) for name in names]
    read_1 = g.Shape(past[0], start=2, end=3)
    before_BP = g.Slice(mask_BS, [0], read_1, [1])
    now_BT = g.Slice(mask_BS, read_1, g.Shape(mask_BS, start=1), [1])
    logits_BTV, *present = g.inline(traced, [tokens_BT, position_BT, before_BP, now_BT, *past])
    forbidden_V = np.zeros(generator.vocab_size, np.float32)
    forbidden_V[list(FORBIDDEN)] = -np.inf
    g.output("logits", g.Add(logits_BTV, forbidden_V), FLOAT, ["batch", "time", generator.vocab_size])
    for name, value in zip(names, present, strict=True):
        g.output(PRESENT.format(*name), value, FLOAT, ["batch", heads, "total", head_dim])
    return g.model("genai", opset)


class _Cached(nn.Module):
    """Many tokens of every text at once, after what was read before."""

    def __init__(self, generator: transformer.Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(
        self, tokens_BT: Tensor, position_BT: Tensor, before_BP: Tensor, now_BT: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        config, decoder = self.generator.config, self.generator.model
        cosine_NE, sine_NE = transformer.rotations(position_BT.flatten(), config.head_dim, config.rope_theta)
        rotation = cosine_NE.view(*position_BT.shape, -1)[:, None], sine_NE.view(*position_BT.shape, -1)[:, None]
        time = tokens_BT.shape[1]
        # A token sees all that was read before and, of what is read now, itself and those before it; never padding.
        causal_TT = torch.ones(time, time, dtype=torch.long).tril()
        now_BTT = now_BT.unsqueeze(1) * causal_TT
        seen_BTS = torch.cat([before_BP.unsqueeze(1).expand(-1, time, -1), now_BTT], dim=2)
        # Finite, for padding at the left sees nothing at all, and must not become NaN.
        bias_B11TS = (1.0 - seen_BTS.float())[:, None, None] * torch.finfo(torch.float32).min
        x_BTD = decoder.embed_tokens(tokens_BT)
        present: list[Tensor] = []
        layers: Any = decoder.layers
        for layer, keys_BKPE, values_BKPE in zip(layers, past[::2], past[1::2], strict=True):
            attention = layer.self_attn
            normed_BTD = layer.input_layernorm(x_BTD)
            query_BHTE, keys_BKTE, values_BKTE = (
                each(normed_BTD).unflatten(-1, (-1, config.head_dim)).transpose(1, 2)
                for each in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            query_BHTE, keys_BKTE = (transformer.rotated(each, rotation) for each in (query_BHTE, keys_BKTE))
            keys_BKSE = torch.cat([keys_BKPE, keys_BKTE], dim=2)
            values_BKSE = torch.cat([values_BKPE, values_BKTE], dim=2)
            query_BKGTE = query_BHTE.unflatten(1, (config.num_kv_heads, -1))
            scores_BKGTS = query_BKGTE @ keys_BKSE.unsqueeze(2).transpose(3, 4) * config.head_dim**-0.5
            attended_BKGTE = torch.softmax(scores_BKGTS + bias_B11TS, dim=-1) @ values_BKSE.unsqueeze(2)
            x_BTD = x_BTD + attention.o_proj(attended_BKGTE.flatten(1, 2).transpose(1, 2).flatten(2))
            x_BTD = x_BTD + layer.mlp(layer.post_attention_layernorm(x_BTD))
            present += [keys_BKSE, values_BKSE]
        return self.generator.head(decoder.norm(x_BTD)), *present


@torch.no_grad()
def measure(path: Path, generator: transformer.Generator, shards: Shards, num_texts: int) -> Difference:
    """Compare logits with torch's on texts of a split, padded on the left, each read in two parts.

    Raises ParityError where they differ.
    """
    graph, config, difference = Runtime(path), generator.config, Difference()
    rows = np.random.default_rng(0).permutation(np.flatnonzero(shards.lengths_N + 3 <= generator.context))[:num_texts]
    allowed_V = np.setdiff1d(np.arange(generator.vocab_size), FORBIDDEN)
    for start in range(0, len(rows), BATCH_SIZE):
        batch = collate(shards, rows[start : start + BATCH_SIZE])
        real_BT = batch.mask_BT.numpy()
        lengths_B, width = real_BT.sum(axis=1), real_BT.shape[1]
        left_BT = np.arange(width) >= width - lengths_B[:, None]
        tokens_BT = np.full(left_BT.shape, PAD)
        tokens_BT[left_BT] = batch.tokens_BT.numpy()[real_BT]
        position_BT = np.maximum(left_BT.cumsum(axis=1) - 1, 0)
        empty = np.zeros((len(batch), config.num_kv_heads, 0, config.head_dim), np.float32)
        past = [empty] * (2 * config.num_layers)
        parts: list[np.ndarray] = []
        for part in (slice(0, width // 2), slice(width // 2, width)):
            names = (PAST.format(i // 2, ("key", "value")[i % 2]) for i in range(len(past)))
            logits_BTV, *past = graph(
                None,
                input_ids=tokens_BT[:, part],
                attention_mask=left_BT[:, : part.stop].astype(np.int64),
                position_ids=position_BT[:, part],
                **dict(zip(names, past, strict=True)),
            )
            parts.append(logits_BTV)
        theirs_NV = np.concatenate(parts, axis=1)[left_BT][:, allowed_V]
        ours_NV = generator.logits(batch.tokens_BT)[batch.mask_BT][:, torch.from_numpy(allowed_V)]
        difference.add(ours_NV, theirs_NV)
    if not difference.passed:
        raise ParityError(f"{path.name} differs from torch by {difference.largest:.3g} (≤ {difference.allowed:g})")
    return difference
