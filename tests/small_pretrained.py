"""A pretrained model in miniature, as people bring one: Hugging Face's folder, and the same model as GGUF.

Its tokenizer is a byte-level BPE of its own with special tokens of its own, at ids of its own.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|start|>", "<|end|>", "<|file|>"]
TEXTS = [
    "the third of March 1953",
    "1 9 5 3 - 0 3 - 0 3",
    "a rose is a rose is a rose",
    "<|end|> is a word, <pad> too",
] * 9
HEADS, KV_HEADS, DIM, MLP, LAYERS = 4, 2, 32, 48, 2
SIZES = {
    "model_type": "llama",
    "hidden_size": DIM,
    "intermediate_size": MLP,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "rms_norm_eps": 1e-5,
    "rope_theta": 5000.0,
    "tie_word_embeddings": True,
}
GGUF_TYPES = {int: 4, float: 6, bool: 7, str: 8}


def tokenizer() -> Tokenizer:
    """Fitted on a few texts; «start» begins a text, «end» ends and fills up, «file» has no role."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
    )
    backend.train_from_iterator(TEXTS, trainer)
    return backend


def weights(vocab_size: int) -> dict[str, torch.Tensor]:
    """Drawn from a seed, large enough for some tokens to be much likelier than others; exact in half precision."""
    draw, kv = torch.Generator().manual_seed(0), DIM // HEADS * KV_HEADS
    shapes = {"model.embed_tokens": (vocab_size, DIM), "model.norm": (DIM,)}
    for layer in range(LAYERS):
        block = f"model.layers.{layer}"
        shapes |= {f"{block}.self_attn.{name}_proj": (DIM, DIM) for name in "qo"}
        shapes |= {f"{block}.self_attn.{name}_proj": (kv, DIM) for name in "kv"}
        shapes |= {f"{block}.mlp.{name}_proj": (MLP, DIM) for name in ("gate", "up")}
        shapes |= {f"{block}.mlp.down_proj": (DIM, MLP)}
        shapes |= {f"{block}.{name}_layernorm": (DIM,) for name in ("input", "post_attention")}
    drawn = {name: torch.randn(shape, generator=draw) * 0.3 for name, shape in shapes.items()}
    return {f"{name}.weight": weight.half().float() for name, weight in drawn.items()}


def write_folder(folder: Path) -> Path:
    """Hugging Face's layout."""
    folder.mkdir(parents=True)
    backend = tokenizer()
    backend.save(str(folder / "tokenizer.json"))
    named = {"bos_token": SPECIAL[0], "eos_token": {"content": SPECIAL[1]}, "pad_token": SPECIAL[1]}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    (folder / "config.json").write_text(json.dumps(SIZES | {"vocab_size": backend.get_vocab_size()}))
    save_file(weights(backend.get_vocab_size()), folder / "model.safetensors")
    return folder


def paired(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a projection as llama.cpp wants them: feature i of a head beside feature i + half."""
    rows = np.arange(len(weight)).reshape(heads, -1)
    half = rows.shape[1] // 2
    order = [row for head in rows for pair in zip(head[:half], head[half:]) for row in pair]
    return weight[order]


def write_gguf(path: Path, **changed: Any) -> Path:
    """The same model, matrices as F16 and vectors as F32; `changed` metadata by key, dots as `__`."""
    parsed = json.loads(tokenizer().to_str())
    vocab: dict[str, int] = parsed["model"]["vocab"]
    tokens = sorted(vocab, key=vocab.__getitem__)
    metadata = {
        "general.architecture": "llama",
        "llama.embedding_length": DIM,
        "llama.feed_forward_length": MLP,
        "llama.block_count": LAYERS,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 5000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in SPECIAL else 1 for token in tokens],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in parsed["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.padding_token_id": 1,
    }
    metadata |= {key.replace("__", "."): value for key, value in changed.items()}
    heads = {"q_proj": HEADS, "k_proj": KV_HEADS}
    tensors: dict[str, tuple[int, tuple[int, ...], bytes]] = {}
    for name, tensor in weights(len(tokens)).items():
        *_, stem, _ = name.split(".")
        array = paired(tensor.numpy(), heads[stem]) if stem in heads else tensor.numpy()
        kind = 1 if array.ndim == 2 else 0
        tensors[gguf_name(name)] = kind, array.shape, array.astype(("<f4", "<f2")[kind]).tobytes()
    return write_file(path, metadata, tensors)


def gguf_name(name: str) -> str:
    short = {
        "embed_tokens": "token_embd", "norm": "output_norm", "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v",
        "o_proj": "attn_output", "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    parts = name.split(".")
    block = f"blk.{parts[2]}." if parts[1] == "layers" else ""
    return f"{block}{short[parts[-2]]}.weight"


def write_file(
    path: Path, metadata: dict[str, Any], tensors: dict[str, tuple[int, tuple[int, ...], bytes]], version: int = 3
) -> Path:
    """A GGUF file of these metadata and tensors (type, shape with the slowest axis first, bytes)."""
    raw = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        raw += string(key)
        if isinstance(value, list):
            raw += struct.pack("<IIQ", 9, GGUF_TYPES[type(value[0])], len(value)) + b"".join(map(scalar, value))
        else:
            raw += struct.pack("<I", GGUF_TYPES[type(value)]) + scalar(value)
    at = 0
    for name, (kind, shape, data) in tensors.items():
        raw += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, at)
        at += -(-len(data) // 32) * 32
    raw += bytes(-len(raw) % 32)
    path.write_bytes(raw + b"".join(data + bytes(-len(data) % 32) for _, _, data in tensors.values()))
    return path


def scalar(value: Any) -> bytes:
    forms = {int: "<I", float: "<f", bool: "<?"}
    return string(value) if isinstance(value, str) else struct.pack(forms[type(value)], value)


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
