"""A folder in the layout of Hugging Face's `LlamaForCausalLM`: what its sizes are called, and its weights.

Writing one is `gdcore.export.llama`'s; the `transformer` generator is the model.
"""

import json
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from torch import Tensor

from gdcore.artifacts import file_digest
from gdcore.errors import UserError

SIZES = {
    "hidden_dim": "hidden_size",
    "mlp_dim": "intermediate_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
    "norm_eps": "rms_norm_eps",
    "tied": "tie_word_embeddings",
}
"""Our settings by their names there."""


def identity(folder: Path) -> dict[str, str]:
    """What decides the outcome of starting from a folder: the digests of its config and weights, by file name."""
    return {path.name: file_digest(path) for path in _files(folder)}


class Stateful(Protocol):
    """The part of a module that reading weights needs."""

    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state_dict: dict[str, Tensor]) -> Any: ...


def read_sizes(folder: Path, vocab_size: int) -> dict[str, Any]:
    """The `transformer` generator's settings, from `config.json`.

    Raises UserError for a folder without one, for a model of another kind, and for one of another vocabulary.
    """
    path = _files(folder)[0]
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"generator.from: {path} is no JSON ({error}); copy the model's folder anew") from None
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    heads = values.get("num_attention_heads", 1)
    head_dim = values.get("hidden_size", 0) // heads
    expected = {
        "model_type": (values.get("model_type"), "llama"),
        "hidden_act": (values.get("hidden_act", "silu"), "silu"),
        "attention_bias": (values.get("attention_bias", False), False),
        "mlp_bias": (values.get("mlp_bias", False), False),
        "head_dim": (values.get("head_dim") or head_dim, head_dim),
        "rope_type": (rope.get("rope_type", rope.get("type", "default")), "default"),
        "vocab_size": (values.get("vocab_size"), vocab_size),
    }
    for key, (found, wanted) in expected.items():
        if found != wanted:
            raise UserError(f"generator.from: {path} says {key} {found!r}; this run needs {wanted!r}")
    defaults = {"num_key_value_heads": heads, "tie_word_embeddings": False, "rms_norm_eps": 1e-6}
    missing = [theirs for theirs in SIZES.values() if theirs not in values and theirs not in defaults]
    if missing:
        raise UserError(f"generator.from: {path} lacks {', '.join(missing)}")
    sizes = {ours: values.get(theirs, defaults.get(theirs)) for ours, theirs in SIZES.items()}
    return sizes | {"rope_theta": rope.get("rope_theta", values.get("rope_theta", 10000.0))}


def read_weights(model: Stateful, folder: Path) -> None:
    """Put the weights of `*.safetensors` (one file, or shards) into the model, in its own precision.

    Raises UserError where a weight is missing, of another shape, or not one of the model's.
    """
    own = model.state_dict()
    found: dict[str, Tensor] = {}
    for path in _files(folder)[1:]:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
            for name in file.keys():  # noqa: SIM118
                found[name] = file.get_tensor(name)
    if "lm_head.weight" not in own:  # a tied output matrix may be stored twice
        found.pop("lm_head.weight", None)
    if found.keys() != own.keys():
        differ = sorted(found.keys() ^ own.keys())
        raise UserError(f"generator.from: the weights in {folder} are not those of its config.json: {differ[0]} …")
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise UserError(
                f"generator.from: {name} in {folder} is {tuple(tensor.shape)}; its config.json makes it "
                f"{tuple(own[name].shape)}"
            )
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in found.items()})


def _files(folder: Path) -> list[Path]:
    """`config.json`, then the weights. Raises UserError unless there are both."""
    config, weights = folder / "config.json", sorted(folder.glob("*.safetensors"))
    if not config.is_file() or not weights:
        missing = "*.safetensors" if config.is_file() else "config.json"
        raise UserError(
            f"generator.from: {folder} has no {missing}; expected the folder of a model in Llama's layout, with "
            "config.json and model.safetensors"
        )
    return [config, *weights]
