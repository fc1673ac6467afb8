"""A model of the architecture `llama` in a GGUF file, by Hugging Face's names: sizes and weights.

llama.cpp turns neighbouring features of queries and keys with each other, Hugging Face the first half of a head with
the second; the rows of both projections were rearranged for that when the file was made, and are put back here.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdcore.errors import UserError
from gdcore.networks.gguf import GGUF

SIZES = {
    "hidden_dim": "embedding_length",
    "mlp_dim": "feed_forward_length",
    "num_layers": "block_count",
    "num_heads": "attention.head_count",
    "num_kv_heads": "attention.head_count_kv",
    "norm_eps": "attention.layer_norm_rms_epsilon",
}
"""Our settings by their names there."""
WEIGHTS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
"""Hugging Face's names by those there."""


def read_sizes(file: GGUF) -> dict[str, Any]:
    """The `transformer` generator's settings. Raises UserError for another architecture or variant."""
    architecture = file.metadata.get("general.architecture")
    if architecture != "llama":
        raise UserError(f"generator.from: {file.path} says architecture {architecture!r}; this run needs 'llama'")
    values = {key.removeprefix("llama."): value for key, value in file.metadata.items() if key.startswith("llama.")}
    values.setdefault("attention.head_count_kv", values.get("attention.head_count"))
    if missing := [theirs for theirs in SIZES.values() if values.get(theirs) is None]:
        raise UserError(f"generator.from: {file.path} lacks llama.{', llama.'.join(missing)}")
    sizes = {ours: values[theirs] for ours, theirs in SIZES.items()}
    head_dim = sizes["hidden_dim"] // sizes["num_heads"]
    expected = {
        "rope.dimension_count": head_dim,
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
        "rope.scaling.type": "none",
        "expert_count": 0,
    }
    for key, wanted in expected.items():
        if (found := values.get(key, wanted)) != wanted:
            raise UserError(f"generator.from: {file.path} says llama.{key} {found!r}; this run needs {wanted!r}")
    tied = "output.weight" not in file.tensors
    # Stored in single precision: 1e-05 comes back as 9.999999747378752e-06, which is the same number there.
    norm_eps = float(f"{sizes['norm_eps']:.7g}")
    return sizes | {"norm_eps": norm_eps, "rope_theta": values.get("rope.freq_base", 10000.0), "tied": tied}


def read_weights(file: GGUF) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every weight, one by one. Raises UserError for one that Llama's layout has not (biases, scaled rotation)."""
    heads = {"attn_q": file.metadata["llama.attention.head_count"]}
    heads["attn_k"] = file.metadata.get("llama.attention.head_count_kv", heads["attn_q"])
    for name in file.tensors:
        *block, stem, kind = name.split(".")
        if kind != "weight" or stem not in WEIGHTS:
            raise UserError(f"generator.from: {file.path} has a tensor {name}, which Llama's layout does not have")
        weight = file.read(name)
        if stem in heads:
            weight = _halves(weight, heads[stem])
        yield f"model.layers.{block[1]}.{WEIGHTS[stem]}.weight" if block else f"{WEIGHTS[stem]}.weight", weight


def _halves(weight: NDArray[np.float32], num_heads: int) -> NDArray[np.float32]:
    """Rows of each head from pairs (0, 0', 1, 1' …) to halves (0, 1 … 0', 1' …)."""
    pairs = weight.reshape(num_heads, -1, 2, weight.shape[-1])
    return pairs.swapaxes(1, 2).reshape(weight.shape)
