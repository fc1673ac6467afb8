"""A `transformer` generator as a GGUF file, which llama.cpp opens: sizes, tokenizer and weights in one.

llama.cpp turns neighbouring features of queries and keys with each other, Hugging Face the first half of a head with
the second: the rows of both projections are rearranged for it (`gdcore.networks.llama_gguf` puts them back). Of
tokenizers it knows byte-level byte pairs, and how to split text before them in ways that it has names for. Ours, which
keeps «it's» and «well-known» whole, it has none for; the one that comes nearest splits at spaces and at a few marks.

Shapes: V vocabulary.
"""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gdcore.contracts import Generator
from gdcore.errors import UserError
from gdcore.networks import gguf
from gdcore.networks.llama_gguf import SIZES, WEIGHTS
from gdcore.networks.vocabulary import BYTE_PAIRS, CONTROL, splitter
from gdcore.tokenizer import BOS, EOS, PAD, SEP, SPECIALS, UNK

Precision = Literal["f32", "f16"]
NEAREST = "poro-chat"
"""llama.cpp's name for the splitting that comes nearest to ours."""
NORMAL, USER_DEFINED = 1, 4
"""Kinds of tokens, besides CONTROL."""


def write_gguf(generator: Generator, tokens: Path, out: Path, precision: Precision, license: str) -> None:
    """Write `out` from a `transformer` generator and the tokens stage's folder; matrices in this precision.

    Raises UserError where the tokenizer is none that llama.cpp knows.
    """
    config = generator.config
    metadata = {
        "general.architecture": "llama",
        "general.file_type": {"f32": 0, "f16": 1}[precision],
        **({"general.license": license} if license else {}),
        # How llama.cpp's programs are to sample unless they are told otherwise: as gdflow does.
        "general.sampling.temp": 1.0,
        "general.sampling.top_k": 0,
        "general.sampling.top_p": 1.0,
        "general.sampling.min_p": 0.0,
        **{f"llama.{theirs}": getattr(config, ours) for ours, theirs in SIZES.items()},
        "llama.vocab_size": generator.vocab_size,
        "llama.context_length": generator.context,
        "llama.rope.dimension_count": config.head_dim,
        "llama.rope.freq_base": config.rope_theta,
        **{f"tokenizer.ggml.{key}": value for key, value in _tokenizer(tokens).items()},
    }
    heads = {"q_proj": config.num_heads, "k_proj": config.num_kv_heads}
    kinds = {1: np.dtype("<f4"), 2: np.dtype({"f32": "<f4", "f16": "<f2"}[precision])}
    tensors: dict[str, NDArray[Any]] = {}
    for name, tensor in generator.state_dict().items():
        weight, part = tensor.detach().float().cpu().numpy(), name.split(".")[-2]
        weight = _pairs(weight, heads[part]) if part in heads else weight
        tensors[_named(name)] = weight.astype(kinds[weight.ndim], copy=False)
    gguf.write(out, metadata, tensors)


def _tokenizer(tokens: Path) -> dict[str, Any]:
    """What the file says about text ↔ ids."""
    kind = json.loads((tokens / "tokenizer_config.json").read_text("utf-8"))["kind"]
    parsed = json.loads((tokens / "tokenizer.json").read_text("utf-8"))
    split = NEAREST if kind == "bpe" else splitter(parsed)
    if parsed["model"]["type"] != "BPE" or split is None:
        raise UserError(
            "export.gguf: llama.cpp reads byte-level byte pairs, split in ways that it has names for; this run's "
            f"tokenizer ({kind}, {parsed['model']['type']}) is none of these. Set tokens.kind=bpe, or leave "
            "export.gguf out"
        )
    added: dict[str, int] = {token["content"]: token["id"] for token in parsed["added_tokens"]}
    ids: dict[str, int] = parsed["model"]["vocab"] | added
    listed_V = sorted(ids, key=ids.__getitem__)
    kinds = dict.fromkeys(SPECIALS, CONTROL) | dict.fromkeys(added, USER_DEFINED)
    roles = {"bos": BOS, "eos": EOS, "unknown": UNK, "seperator": SEP, "padding": PAD}  # sic
    return {
        "model": BYTE_PAIRS,
        "pre": split,
        "tokens": listed_V,
        "token_type": [kinds.get(token, NORMAL) for token in listed_V],
        "merges": [" ".join(pair) for pair in parsed["model"]["merges"]],
        **{f"{role}_token_id": i for role, i in roles.items()},
        "add_bos_token": True,
        "add_eos_token": False,
    }


def _named(name: str) -> str:
    """A weight's name there: `model.layers.3.mlp.up_proj.weight` is `blk.3.ffn_up.weight`."""
    theirs = {ours: stem for stem, ours in WEIGHTS.items()}
    own = name.removesuffix(".weight")
    if not own.startswith("model.layers."):
        return f"{theirs[own]}.weight"
    _, _, layer, part = own.split(".", 3)
    return f"blk.{layer}.{theirs[part]}.weight"


def _pairs(weight: NDArray[np.float32], num_heads: int) -> NDArray[np.float32]:
    """Rows of each head from halves (0, 1 … 0', 1' …) to pairs (0, 0', 1, 1' …)."""
    halves = weight.reshape(num_heads, 2, -1, weight.shape[-1])
    return halves.swapaxes(1, 2).reshape(weight.shape)
