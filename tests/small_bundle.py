"""Checkpoints with random weights, and bundles exported from them: made once for all the tests that only read them."""

import atexit
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from small_corpus import write_corpus

from gdcore import plugins
from gdcore.contracts import Generator
from gdcore.export.bundle import ExportConfig, export_bundle
from gdcore.export.classifier import export_classifier
from gdcore.export.step import Step
from gdcore.tokenizer import Kind
from gdcore.tokens import TokenizerConfig, build_tokens
from gdcore.training.checkpoint import build_discriminator, build_generator, save_weights

CONTEXT = 24
SMALL: dict[str, dict[str, object]] = {
    **{name: {"embedding_dim": 16, "hidden_dim": 24} for name in ("rnn", "gru", "lstm")},
    "relational_memory": {"embedding_dim": 16, "num_slots": 2, "head_dim": 8},
    "vae": {"embedding_dim": 16, "hidden_dim": 24, "encoder_dim": 12, "latent_dim": 5},
    "latent_gan": {"embedding_dim": 16, "hidden_dim": 24, "encoder_dim": 12, "latent_dim": 5, "map_dim": 8},
    "transformer": {"hidden_dim": 16, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "mlp_dim": 24},
}
SELDOM = ("rnn", "gru", "relational_memory", "vae", "latent_gan")
"""Traced with the slow tests alone: a trace takes seconds. What the simpler cells have in common with `lstm` is traced
there, the state that grows with `transformer`."""
GENERATORS = [
    pytest.param(name, marks=pytest.mark.slow if name in SELDOM else ()) for name in plugins.names("generators")
]


@cache
def folder() -> Path:
    """A temporary folder that goes when the tests end."""
    path = Path(tempfile.mkdtemp(prefix="gdflow-bundles-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@cache
def tokens(prompted: bool = False, kind: Kind = "word") -> Path:
    """A tokens stage's folder: 150 words, texts of 3 to 12 of them."""
    random = np.random.default_rng(0)
    words = [f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrst"]
    texts = [" ".join(random.choice(words, random.integers(3, 13))) for _ in range(400)]
    out = folder() / f"tokens-{prompted}-{kind}"
    corpus = write_corpus(out / "corpus", texts, texts[:40], texts[40:100], prompts=texts[::-1] if prompted else None)
    for _ in build_tokens(TokenizerConfig(kind=kind, min_count=1), corpus, out):
        pass
    return out


def generator(name: str = "lstm", vocab_size: int = 60, **config: object) -> Generator:
    """A model with weights large enough for some tokens to be much likelier than others."""
    torch.manual_seed(0)
    config = SMALL.get(name, {}) | config
    model = build_generator(plugins.load("generators", name).Config(**config), vocab_size, CONTEXT)
    with torch.no_grad():
        for label, parameter in model.named_parameters():
            # Else roundings grow: in a network that has become chaotic, in e to a large power.
            if not any(part in label for part in ("weight_hh", "gates_of", "keys_values", "queries", "log_variance")):
                parameter.mul_(4)
            if label.startswith("map.") and not parameter.any():  # a map that begins as the identity is one no longer
                parameter.normal_(std=0.2)
    return model.eval()


@cache
def traced(name: str = "lstm", **config: object) -> tuple[Generator, Step]:
    """A generator over 60 tokens, and its step as a graph (tracing takes seconds)."""
    model = generator(name, **config)
    return model, Step(model, 20)


def checkpoint(out: Path, discriminator: str | None = "cnn", vocab_size: int = 155, name: str = "lstm") -> Path:
    """A model as training leaves it."""
    model = generator(name, vocab_size)
    out.mkdir(parents=True, exist_ok=True)
    save_weights(model, out / "generator.safetensors")
    about = {"generator": model.config.model_dump(mode="json"), "vocab_size": vocab_size, "context": CONTEXT}
    if discriminator:
        judge_config = plugins.load("discriminators", discriminator).Config(embedding_dim=16)
        save_weights(build_discriminator(judge_config, vocab_size), out / "discriminator.safetensors")
        about["discriminator"] = judge_config.model_dump(mode="json")
    (out / "config.json").write_text(json.dumps(about))
    return out


@cache
def exported(discriminator: str | None = "cnn", prompted: bool = False, name: str = "lstm") -> Path:
    """The folder of an export stage; its bundle lies in `bundle`."""
    out = folder() / f"export-{name}-{discriminator}-{prompted}"
    vocab_size = json.loads((tokens(prompted) / "tokenizer_config.json").read_text())["vocab_size"]
    model = checkpoint(out / "checkpoint", discriminator=discriminator, vocab_size=vocab_size, name=name)
    config, about = ExportConfig(parity_texts=60, license="CC0-1.0"), {"data": "made up"}
    for _ in export_bundle(config, model, model if discriminator else None, tokens(prompted), out, about):
        pass
    return out


@cache
def classifying() -> Path:
    """A bundle that names the class of a text, of three."""
    out, classes = folder() / "classifying", ["fruit", "none", "tool"]
    vocab_size = json.loads((tokens() / "tokenizer_config.json").read_text())["vocab_size"]
    config = plugins.load("discriminators", "cnn").Config(embedding_dim=16)
    torch.manual_seed(0)
    out.mkdir()
    save_weights(build_discriminator(config, vocab_size, len(classes)), out / "classifier.safetensors")
    about = {"by": "discriminator", "classifier": config.model_dump(mode="json"), "classes": classes}
    about |= {"temperature": 1.0, "vocab_size": vocab_size, "context": CONTEXT}
    (out / "config.json").write_text(json.dumps(about))
    for _ in export_classifier(ExportConfig(parity_texts=60), out, tokens(), out, {"data": "made up"}):
        pass
    return out / "bundle"
