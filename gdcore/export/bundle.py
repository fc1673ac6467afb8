"""A trained model as a bundle: the folder that generates, scores and judges without torch.

```
generate.onnx  model.onnx  discriminator.onnx   whole generation, scoring, judging
decode.onnx                                     one step of generation, for streams and servers
weights.bin                                     what the generator's graphs share, stored once; they look for it there
generate.int8.onnx  decode.int8.onnx  model.int8.onnx  weights.int8.bin   the same in a fourth of the bytes,
                                                where asked for
tokenizer.json  tokenizer_config.json           text ↔ ids
parity.json                                     how closely the graphs agree with torch
showcase.json                                   what its page shows besides, where the model was evaluated
manifest.json                                   what all this is; digests of every file
model_card.md                                   the same for people to read
```
The same checkpoint gives the same bytes. A model in Llama's layout lies beside the bundle, in the folder `huggingface`,
as other programs open it (`gdcore.export.llama`; where asked for `gdcore.export.llama_gguf`, `gdcore.export.genai`).
"""

import json
import shutil
from collections.abc import Generator as Steps
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto
from pydantic import Field

from gdcore.export import genai, parity, twins, weights
from gdcore.export.card import model_card
from gdcore.export.decode import decode_model
from gdcore.export.discriminators import discriminator_model
from gdcore.export.generation import generation_model
from gdcore.export.llama import write_llama
from gdcore.export.llama_gguf import Precision, write_gguf
from gdcore.export.scoring import scoring_model
from gdcore.export.step import Step
from gdcore.generators import transformer
from gdcore.networks.lora import merged
from gdcore.progress import Progress
from gdcore.serving.manifest import write_manifest
from gdcore.settings import Settings
from gdcore.shards import Shards
from gdcore.tokenizer import SPECIALS
from gdcore.training.checkpoint import load_discriminator, load_generator


class ExportConfig(Settings):
    """What the bundle holds."""

    opset: int = Field(default=20, ge=20, le=23)
    """Version of the ONNX operators; older runtimes read older ones."""
    parity_texts: int = Field(default=1000, ge=1)
    """Held-out texts on which the graphs are compared with torch, and prefixes of which they both write on from."""
    int8: bool = False
    """Whether the generator's graphs are also there with weights of eight bits: a fourth of the bytes."""
    int8_nll: float = Field(default=0.005, ge=0)
    """By how many nats a token those may find held-out text less likely; if it is more, the export fails."""
    gguf: Precision | None = None
    """Whether a `transformer` is also there as `model.gguf`, which llama.cpp opens, its matrices in single or half
    precision; the tokens must be byte pairs."""
    genai: bool = False
    """Whether a `transformer` is also there as onnxruntime-genai runs it: one more graph."""
    license: str = ""
    """Under which licence the bundle may be used, as an SPDX expression; recorded in its manifest."""
    real_texts: int = Field(default=0, ge=0, le=100)
    """Held-out texts that go into the bundle, for its page to ask «real or generated?»; 0, for a bundle is given away,
    and texts belong to whoever wrote them."""


def export_bundle(
    config: ExportConfig,
    checkpoint: Path,
    discriminator_checkpoint: Path | None,
    tokens: Path,
    out: Path,
    about: Mapping[str, Any],
    shown: Mapping[str, Any] | None = None,
) -> Iterator[Progress]:
    """Write `out/bundle` from trained weights and the tokens they were trained on.

    `about` (training recipe, data digests, evaluation summary) goes into the manifest as it is; `shown` is what the
    bundle's page shows (`gdcore.export.showcase`). Raises ParityError when a graph does not compute what torch
    computes; the bundle then has no manifest, and nothing opens it.
    """
    bundle = out / "bundle"
    bundle.mkdir(parents=True, exist_ok=True)
    generator = merged(load_generator(checkpoint))
    discriminator = load_discriminator(discriminator_checkpoint) if discriminator_checkpoint else None

    yield Progress(0, None, "tracing the generator")
    step = Step(generator, config.opset)
    graphs = {
        "generate.onnx": generation_model(step, config.opset),
        "decode.onnx": decode_model(step, config.opset),
        "model.onnx": scoring_model(step, config.opset),
    }
    if discriminator:
        yield Progress(0, None, "tracing the discriminator")
        graphs["discriminator.onnx"] = discriminator_model(discriminator, config.opset)
    write_graphs(bundle, graphs, tokens)
    shards = held_out_texts(tokens)
    figures = yield from parity.measure(bundle, generator, discriminator, shards, config.parity_texts)
    figures.check()
    measured = asdict(figures)
    others, their_graphs = out / "huggingface", dict[str, ModelProto]()
    if isinstance(generator, transformer.Generator):
        their_graphs, agreed = yield from _for_others(config, generator, tokens, shards, others)
        measured |= agreed
    if config.int8:
        yield Progress(0, None, "weights of eight bits")
        graphs |= twins.write(bundle, step, config.opset)
        cost = yield from twins.measure(bundle, generator.context, shards, config.parity_texts, config.int8_nll)
        cost.check()
        measured["int8"] = asdict(cost)
    (bundle / "parity.json").write_text(json.dumps(measured, indent=2) + "\n", "utf-8")
    if shown:
        (bundle / "showcase.json").write_text(json.dumps(shown, ensure_ascii=False, indent=1) + "\n", "utf-8")
    contents = {
        "generator": generator.config.model_dump(mode="json"),
        "discriminator": discriminator.config.model_dump(mode="json") if discriminator else None,
        "vocab_size": generator.vocab_size,
        "context": generator.context,
        **({"int8": measured["int8"]} if config.int8 else {}),
        **described(config, graphs, tokens, about),
    }
    (bundle / "model_card.md").write_text(model_card(contents), "utf-8")
    write_manifest(bundle, contents)
    if others.is_dir():
        graphs = {name: graph_description(model) for name, model in their_graphs.items()}
        write_manifest(others, contents | {"layout": "huggingface", "graphs": graphs})
    yield Progress(figures.texts, figures.texts, f"logits within {figures.logits.largest:.1e} of torch")


def _for_others(
    config: ExportConfig, generator: transformer.Generator, tokens: Path, shards: Shards, out: Path
) -> Steps[Progress, None, tuple[dict[str, ModelProto], dict[str, Any]]]:
    """Write a model in Llama's layout as other programs open it; its graphs, and how closely they agree with torch."""
    write_llama(generator, tokens, out)
    if config.gguf:
        write_gguf(generator, tokens, out / "model.gguf", config.gguf, config.license)
    if not config.genai:
        return {}, {}
    yield Progress(0, None, "tracing for onnxruntime-genai")
    graph = genai.write_genai(generator, config.opset, out)
    agreed = genai.measure(out / genai.GRAPH, generator, shards, config.parity_texts)
    return {genai.GRAPH: graph}, {"genai": asdict(agreed)}


def write_graphs(bundle: Path, graphs: Mapping[str, ModelProto], tokens: Path) -> None:
    """The graphs, and the tokenizer that they were trained with."""
    weights.write(bundle, graphs, "weights.bin")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokens / name, bundle / name)


def described(
    config: ExportConfig, graphs: Mapping[str, ModelProto], tokens: Path, about: Mapping[str, Any]
) -> dict[str, Any]:
    """What the manifest of every bundle says, whatever it holds."""
    return {
        "gdflow": _version("gdflow"),
        "made_with": {name: _version(name) for name in ("torch", "onnx", "onnxscript", "onnxruntime")},
        "license": config.license,
        "special_tokens": {name.strip("<>"): i for i, name in enumerate(SPECIALS)},
        "prompted": bool(Shards.open(tokens, "train").prompt_lengths_N.any()),
        "graphs": {name: graph_description(model) for name, model in graphs.items()},
        "about": dict(about),
    }


def held_out_texts(tokens: Path) -> Shards:
    """Held-out texts; the training texts of a corpus too small to hold any out."""
    return next(shards for split in ("test", "valid", "train") if len(shards := Shards.open(tokens, split)))


def graph_description(model: ModelProto) -> dict[str, Any]:
    """A graph's opset, the file of its weights if it shares them, and name, type and shape of what goes in and out."""
    shared = weights.file_of(model)
    return {
        "opset": model.opset_import[0].version,
        **({"weights": shared} if shared else {}),
        "inputs": [_signature(value) for value in model.graph.input],
        "outputs": [_signature(value) for value in model.graph.output],
    }


def _signature(value: onnx.ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    return {
        "name": value.name,
        "dtype": onnx.TensorProto.DataType.Name(tensor.elem_type).lower(),
        "shape": [dimension.dim_param or dimension.dim_value for dimension in tensor.shape.dim],
    }


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"
