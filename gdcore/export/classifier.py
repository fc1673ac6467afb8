"""A trained classifier as a bundle: the folder that names the class of a text without torch.

```
classifier.onnx                                 tokens → logits of the classes
tokenizer.json  tokenizer_config.json           text ↔ ids
parity.json                                     how closely the graph agrees with torch
manifest.json                                   the classes, their temperature; digests of every file
```
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from gdcore.batches import ordered_batches
from gdcore.classification.training import load_classifier
from gdcore.export.bundle import ExportConfig, described, held_out_texts, write_graphs
from gdcore.export.discriminators import classifier_model
from gdcore.export.parity import BATCH_SIZE, Difference, ParityError
from gdcore.progress import Progress
from gdcore.serving.manifest import write_manifest
from gdcore.serving.runtime import Graph


def export_classifier(
    config: ExportConfig, classification: Path, tokens: Path, out: Path, about: Mapping[str, Any]
) -> Iterator[Progress]:
    """Write `out/bundle`. Raises ParityError when the graph does not compute what torch computes."""
    bundle = out / "bundle"
    bundle.mkdir(parents=True, exist_ok=True)
    yield Progress(0, None, "tracing the classifier")
    classifier, trained = load_classifier(classification)
    graphs = {"classifier.onnx": classifier_model(classifier, config.opset)}
    write_graphs(bundle, graphs, tokens)
    graph, difference = Graph(bundle / "classifier.onnx"), Difference()
    texts = held_out_texts(tokens)
    texts = texts.only((texts.lengths_N + 3 <= trained["context"]).nonzero()[0][: config.parity_texts])
    for batch in ordered_batches(texts, BATCH_SIZE):
        (logits_BK,) = graph(tokens=batch.tokens_BT.numpy(), lengths=batch.mask_BT.sum(dim=1).numpy())
        with torch.no_grad():
            difference.add(classifier(batch.tokens_BT, batch.mask_BT), logits_BK)
        yield Progress(difference.compared // len(trained["classes"]), len(texts), "comparing with torch")
    if not difference.passed:
        raise ParityError(
            f"the exported classifier does not compute what torch computes: logits differ by {difference.largest:.3g} "
            f"(≤ {difference.allowed:g})"
        )
    (bundle / "parity.json").write_text(json.dumps({"logits": asdict(difference)}, indent=2) + "\n", "utf-8")
    what = {name: trained[name] for name in ("classifier", "classes", "temperature", "vocab_size", "context")}
    write_manifest(bundle, {**what, **described(config, graphs, tokens, about)})
    yield Progress(len(texts), len(texts), f"logits within {difference.largest:.1e} of torch")
