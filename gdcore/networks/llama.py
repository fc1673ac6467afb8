"""A pretrained model of Llama's architecture, as Hugging Face's folder or as a GGUF file: its sizes and weights.

Writing a folder is `gdcore.export.llama`'s; the `transformer` generator is the model. Where the model brings its own
tokenizer, rows of the embedding come as `gdcore.networks.vocabulary` arranges them.

Shapes: V vocabulary, D features.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import safe_open
from torch import Tensor

from gdcore.artifacts import file_digest
from gdcore.errors import UserError
from gdcore.networks import llama_gguf, vocabulary
from gdcore.networks.gguf import GGUF

EMBEDDINGS = ("model.embed_tokens.weight", "lm_head.weight")
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


def identity(start: Path) -> dict[str, str]:
    """What decides the outcome of starting from a model: the digests of its files, by name.

    Raises UserError where there is no such model.
    """
    whole = {} if vocabulary.gguf_path(start) else {path.name: file_digest(path) for path in _files(start)}
    return whole | vocabulary.identity(start)


def verified(start: Path, digest: str = "") -> str:
    """The digest of a model's files; raises UserError if it is to be another one."""
    paths = identity(start) if start.exists() else {}
    found = hashlib.sha256(json.dumps(paths, sort_keys=True).encode()).hexdigest()
    if digest and found != digest:
        what = "has other bytes than" if paths else "is no longer there:"
        raise UserError(
            f"generator.from: {start} {what} the model that these adapters were trained beside (digest "
            f"{digest[:12]}…). Put that model there again (a link will do), or train anew."
        )
    return found


class Stateful(Protocol):
    """The part of a module that reading weights needs."""

    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state_dict: dict[str, Tensor], *, assign: bool) -> Any: ...


def read_sizes(start: Path, vocab_size: int) -> dict[str, Any]:
    """The `transformer` generator's settings, from `config.json` or a GGUF file's metadata.

    Raises UserError where there is no such model, for one of another kind, and for one of another vocabulary.
    """
    own = vocabulary.read(start)
    if own and len(own.rows_V) != vocab_size:
        raise UserError(
            f"generator.from: {start} has a vocabulary of {len(own.rows_V)} tokens; this run's has {vocab_size}: it "
            "was made with another tokenizer"
        )
    path = vocabulary.gguf_path(start)
    return llama_gguf.read_sizes(GGUF(path)) if path else _folder_sizes(start, None if own else vocab_size)


def _folder_sizes(folder: Path, vocab_size: int | None) -> dict[str, Any]:
    """From `config.json`; without a tokenizer of its own the model must have so many tokens."""
    path = _files(folder)[0]
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"generator.from: {path} is no JSON ({error}); copy the model's folder anew") from None
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    heads = values.get("num_attention_heads", 1)
    head_dim = values.get("hidden_size", 0) // heads
    expected: dict[str, tuple[Any, Any]] = {
        "model_type": (values.get("model_type"), "llama"),
        "hidden_act": (values.get("hidden_act", "silu"), "silu"),
        "attention_bias": (values.get("attention_bias", False), False),
        "mlp_bias": (values.get("mlp_bias", False), False),
        "head_dim": (values.get("head_dim") or head_dim, head_dim),
        "rope_type": (rope.get("rope_type", rope.get("type", "default")), "default"),
    }
    if vocab_size is not None:
        expected["vocab_size"] = values.get("vocab_size"), vocab_size
    for key, (found, wanted) in expected.items():
        if found != wanted:
            raise UserError(f"generator.from: {path} says {key} {found!r}; this run needs {wanted!r}")
    defaults = {"num_key_value_heads": heads, "tie_word_embeddings": False, "rms_norm_eps": 1e-6}
    missing = [theirs for theirs in SIZES.values() if theirs not in values and theirs not in defaults]
    if missing:
        raise UserError(f"generator.from: {path} lacks {', '.join(missing)}")
    sizes = {ours: values.get(theirs, defaults.get(theirs)) for ours, theirs in SIZES.items()}
    return sizes | {"rope_theta": rope.get("rope_theta", values.get("rope_theta", 10000.0))}


def read_weights(model: Stateful, start: Path) -> None:
    """Make the model's weights ours, in single precision.

    Raises UserError where a weight is missing, of another shape, or not one of the model's.
    """
    own, found = model.state_dict(), dict(_weights(start))
    if "lm_head.weight" not in own:  # a tied output matrix may be stored twice
        found.pop("lm_head.weight", None)
    if found.keys() != own.keys():
        differ = sorted(found.keys() ^ own.keys())
        raise UserError(f"generator.from: the weights in {start} are not those of its sizes: {differ[0]} …")
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise UserError(
                f"generator.from: {name} in {start} is {tuple(tensor.shape)}; its sizes make it "
                f"{tuple(own[name].shape)}"
            )
    model.load_state_dict(found, assign=True)


def _weights(start: Path) -> Iterator[tuple[str, Tensor]]:
    """Every weight by Hugging Face's name, in single precision, one by one."""
    own, path = vocabulary.read(start), vocabulary.gguf_path(start)
    named = ((n, torch.from_numpy(w)) for n, w in llama_gguf.read_weights(GGUF(path))) if path else _stored(start)
    for name, tensor in named:
        tensor = tensor.to(torch.float32)
        if own and name in EMBEDDINGS:
            tensor = _arranged(tensor, torch.from_numpy(own.rows_V), start)
        yield name, tensor


def _stored(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """From `*.safetensors`, one file or shards."""
    for path in _files(folder)[1:]:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportUnknownVariableType]
            for name in file.keys():  # noqa: SIM118
                yield name, file.get_tensor(name)


def _arranged(weight_VD: Tensor, rows_V: Tensor, start: Path) -> Tensor:
    """The rows of an embedding in our order; a token that is new is the mean of those that are not."""
    if int(rows_V.max()) >= len(weight_VD):
        raise UserError(
            f"generator.from: the tokenizer of {start} has a token {int(rows_V.max())}, its embedding only "
            f"{len(weight_VD)} rows: they are not of one model"
        )
    new_V1 = (rows_V == vocabulary.NEW).unsqueeze(1)
    return torch.where(new_V1, weight_VD[rows_V[rows_V != vocabulary.NEW]].mean(dim=0), weight_VD[rows_V])


def _files(folder: Path) -> list[Path]:
    """`config.json`, then the weights. Raises UserError unless there are both."""
    config, weights = folder / "config.json", sorted(folder.glob("*.safetensors"))
    if not config.is_file() or not weights:
        missing = "*.safetensors" if config.is_file() else "config.json"
        raise UserError(
            f"generator.from: {folder} has no {missing}; expected the folder of a model in Llama's layout, with "
            "config.json and model.safetensors, or a GGUF file"
        )
    return [config, *weights]
