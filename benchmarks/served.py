"""A server to be measured, in a process of its own, and a bundle of random weights for it to serve."""

import argparse
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def make_bundle(out: Path, options: argparse.Namespace) -> None:
    """A word-level LSTM that nobody trained."""
    import torch
    from tokenizers import models

    from gdcore.export import weights
    from gdcore.export.bundle import graph_description
    from gdcore.export.decode import decode_model
    from gdcore.export.generation import generation_model
    from gdcore.export.scoring import scoring_model
    from gdcore.export.step import Step
    from gdcore.generators import lstm
    from gdcore.serving.manifest import write_manifest
    from gdcore.tokenizer import EOS, MARK, SPECIALS, UNK, Tokenizer, assemble

    torch.manual_seed(0)
    config = lstm.Config(embedding_dim=options.embedding_dim, hidden_dim=options.hidden_dim)
    generator = lstm.Generator(config, options.vocab_size, options.context).eval()
    with torch.no_grad():
        generator.output.bias[EOS] = -100
    step = Step(generator, 20)
    graphs = {"generate.onnx": generation_model, "decode.onnx": decode_model, "model.onnx": scoring_model}
    built = {name: make(step, 20) for name, make in graphs.items()}
    out.mkdir(parents=True)
    weights.write(out, built, "weights.bin")
    words = [*SPECIALS, *(f"{MARK}w{i}" for i in range(options.vocab_size - len(SPECIALS)))]
    vocabulary = {word: i for i, word in enumerate(words)}
    backend = assemble("word", models.WordLevel(vocabulary, SPECIALS[UNK]), lowercase=False)
    Tokenizer(backend, {"kind": "word", "vocab_size": len(words)}).save(out)
    about: dict[str, Any] = {"vocab_size": len(words), "context": options.context, "prompted": False, "license": ""}
    write_manifest(out, about | {"graphs": {name: graph_description(model) for name, model in built.items()}})


class Server:
    """A server's process, which says at which port it can be asked."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        self.said = self.process.stdout.readline()

    @property
    def resident(self) -> float:
        """MB of memory in use."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(60)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """What the model of random weights is like, or which other to take."""
    parser.add_argument("--bundle", type=Path, help="instead of a model of random weights")
    parser.add_argument("--vocab-size", type=int, default=5000)
    parser.add_argument("--embedding-dim", type=int, default=128)
    parser.add_argument("--hidden-dim", type=int, default=512)
    parser.add_argument("--context", type=int, default=80)
    parser.add_argument("--length", type=int, default=32, help="tokens of a text, on average")


def about(options: argparse.Namespace) -> str:
    """The model and the machine, in words."""
    model = f"LSTM {options.embedding_dim}/{options.hidden_dim}, vocabulary {options.vocab_size}"
    return f"{options.bundle or model}; {os.cpu_count()} cores"
