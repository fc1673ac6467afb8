"""A `transformer` generator as a folder that Hugging Face's `LlamaForCausalLM` and what reads its layout open.

```
config.json  generation_config.json     sizes; how to sample as gdflow does
model.safetensors                       weights, by Llama's names
tokenizer.json  tokenizer_config.json   text ↔ ids
```
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from gdcore.contracts import Generator
from gdcore.networks.llama import SIZES
from gdcore.sampling import FORBIDDEN
from gdcore.tokenizer import BOS, EOS, PAD, SPECIALS


def write_llama(generator: Generator, tokens: Path, out: Path) -> None:
    """Write `out` from a `transformer` generator and the tokens stage's folder."""
    config = generator.config
    out.mkdir(parents=True, exist_ok=True)
    ids = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
    sizes = {theirs: getattr(config, ours) for ours, theirs in SIZES.items()}
    fixed = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_act": "silu"}
    rope = {
        "head_dim": config.head_dim,
        "rope_theta": config.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},
    }
    shape = {"vocab_size": generator.vocab_size, "max_position_embeddings": generator.context}
    biases = {"attention_bias": False, "mlp_bias": False, "dtype": "float32"}
    _write(out / "config.json", fixed | sizes | rope | shape | biases | ids)
    # What stands for no text is never drawn; a text ends at the context's end, as in training.
    drawn = {"do_sample": True, "suppress_tokens": list(FORBIDDEN), "max_length": generator.context}
    _write(out / "generation_config.json", ids | drawn)
    weights = {name: tensor.detach().contiguous().cpu() for name, tensor in generator.state_dict().items()}
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    shutil.copymode(out / "config.json", out / "model.safetensors")  # safetensors lets nobody else read it
    _write(out / "tokenizer.json", _spelt_out(json.loads((tokens / "tokenizer.json").read_text("utf-8"))))
    named = {f"{role}_token": SPECIALS[i] for role, i in (("bos", BOS), ("eos", EOS), ("pad", PAD))}
    _write(out / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **named})


def _spelt_out(value: Any) -> Any:
    """A tokenizer with the characters of its patterns by themselves: not every reader's patterns know `\\x{…}`."""
    if isinstance(value, list):
        return [_spelt_out(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: re.sub(r"\\x\{([0-9A-F]+)\}", lambda number: chr(int(number[1], 16)), each)
        if key == "Regex"
        else _spelt_out(each)
        for key, each in value.items()
    }


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=2) + "\n", "utf-8")
