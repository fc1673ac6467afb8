"""A bundle as a model repository of NVIDIA Triton, which KServe's runtime of that name serves too.

```
NAME_generate/config.pbtxt   NAME_generate/1/model.onnx      prompts in, finished texts out
NAME_model/ …                                                NLL of each token, logits of what follows
NAME_discriminator/ …  or, of a classifier's bundle,  NAME_classifier/ …
```
Ids go in and come out: text ↔ ids is the client's, by the bundle's `tokenizer.json`. Triton has no scalars: what is one
in the bundle's graph is a vector of one number here, and the graph, which has its weights in itself, the same
otherwise.
"""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, ValueInfoProto

from gdcore.errors import UserError
from gdcore.export.builder import Graph
from gdcore.serving.manifest import read_manifest

SERVED = ("generate", "model", "discriminator", "classifier")
TYPES = {"float": "TYPE_FP32", "int64": "TYPE_INT64", "bool": "TYPE_BOOL"}
"""Triton's names for the types in a manifest."""


def write_repository(bundle: Path, out: Path, name: str) -> list[Path]:
    """Write the models of a bundle into a repository, new or not; returns their folders.

    Raises UserError for a damaged bundle, for a name that is none for a folder, and for a folder that cannot be
    written.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise UserError(f"--model-name {name!r}: expected letters, digits, - and _ alone; Triton names folders by it")
    graphs: Mapping[str, Any] = read_manifest(bundle)["graphs"]
    folders: list[Path] = []
    for stem in SERVED:
        described = graphs.get(f"{stem}.onnx")
        if described is None:
            continue
        folder = out / f"{name}_{stem}"
        try:
            (folder / "1").mkdir(parents=True, exist_ok=True)
            _write_graph(bundle / f"{stem}.onnx", described, folder / "1" / "model.onnx")
            (folder / "config.pbtxt").write_text(config(folder.name, described), "utf-8")
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}; give --out another name") from error
        folders.append(folder)
    return folders


def config(name: str, described: Mapping[str, Any]) -> str:
    """`config.pbtxt` of a graph as the manifest describes it: Triton's ModelConfig, as protobuf's text.

    The first dimension is the client's batch; Triton, told of none (`max_batch_size` 0), makes none.
    """
    lines = [f'name: "{name}"', 'platform: "onnxruntime_onnx"', "max_batch_size: 0"]
    for kind in ("input", "output"):
        for value in described[f"{kind}s"]:
            sizes = ", ".join(str(size if isinstance(size, int) else -1) for size in value["shape"] or [1])
            lines += [
                f"{kind} {{",
                f'  name: "{value["name"]}"',
                f"  data_type: {TYPES[value['dtype']]}",
                f"  dims: [ {sizes} ]",
                "}",
            ]
    return "\n".join(lines) + "\n"


def _write_graph(graph: Path, described: Mapping[str, Any], out: Path) -> None:
    if "weights" not in described and all(value["shape"] for value in described["inputs"]):
        shutil.copyfile(graph, out)
    else:
        out.write_bytes(_without_scalars(onnx.load(graph)).SerializeToString(deterministic=True))


def _without_scalars(model: ModelProto) -> ModelProto:
    """The same graph, with vectors of one number where it takes scalars."""
    g = Graph()
    given: list[str] = []
    for value in model.graph.input:
        shape = _shape(value)
        own = g.input(value.name, value.type.tensor_type.elem_type, shape or [1])
        given.append(own if shape else g.Squeeze(own, [0]))
    for value, result in zip(model.graph.output, g.inline(model, given), strict=True):
        g.output(value.name, result, value.type.tensor_type.elem_type, _shape(value))
    return g.model(model.graph.name, model.opset_import[0].version)


def _shape(value: ValueInfoProto) -> list[str | int]:
    return [dimension.dim_param or dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
