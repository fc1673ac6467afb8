"""What other programs make of an export: each real package, in an environment of its own, gives what torch gives.

    python -m venv openers
    openers/bin/pip install torch transformers onnxruntime-genai xllamacpp 'tritonclient[grpc]'
    GDFLOW_OPENERS=openers/bin/python python -m pytest -m slow tests/export/test_opens.py

`GDFLOW_OPENERS` names interpreters, separated as in PATH; the first that has a package opens by it, this one at last.
llama.cpp is opened by the wheels of `xllamacpp`, which hold it ready-made.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from small_bundle import checkpoint, exported, folder, tokens

from gdcore.export import genai
from gdcore.export.bundle import ExportConfig, export_bundle
from gdcore.export.llama import write_llama
from gdcore.export.llama_gguf import write_gguf
from gdcore.export.repository import write_repository
from gdcore.serving.manifest import damage, parse_manifest, strangers
from gdcore.serving.runtime import Graph
from gdcore.serving.session import Session
from gdcore.tokenizer import BOS, EOS, FORBIDDEN, PAD, Kind, Tokenizer
from gdcore.training.checkpoint import load_generator

PROGRAMS = Path(__file__).parents[1] / "opened"
NUM = 10
"""Tokens written after each prompt."""
TEXTS = ["bal dem fit", "kem (gin), 'dit' bal-dem?", "x"]


def interpreter(package: str) -> str:
    """One that has this package; the test is skipped where none has."""
    known = [*filter(None, os.environ.get("GDFLOW_OPENERS", "").split(os.pathsep)), sys.executable]
    for python in known:
        if not subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode:
            return python
    pytest.skip(f"no {package} here: install it into an environment and name its python by GDFLOW_OPENERS")


def opened(package: str, path: Path | str, question: dict[str, Any] | str) -> dict[str, Any]:
    """What `tests/opened/by_PACKAGE.py` answers about what lies there."""
    program = PROGRAMS / f"by_{package}.py"
    asked = question if isinstance(question, str) else json.dumps(question)
    told = os.environ | {"PYTHONPATH": str(PROGRAMS.parents[1])}
    command = [interpreter(package), str(program), str(path)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, env=told, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@cache
def transformer(kind: Kind = "bpe") -> Path:
    """The folder of an export stage of a transformer, of byte pairs or of words."""
    out = folder() / f"export-transformer-{kind}"
    vocab_size = Tokenizer.load(tokens(kind=kind)).vocab_size
    model = checkpoint(out / "checkpoint", discriminator=None, vocab_size=vocab_size, name="transformer")
    config = ExportConfig(parity_texts=20, genai=True, gguf="f32" if kind == "bpe" else None)
    for _ in export_bundle(config, model, None, tokens(kind=kind), out, {"data": "made up"}):
        pass
    return out


def question(kind: Kind = "bpe") -> dict[str, Any]:
    """Prompts of unlike lengths; texts, and ids to be read."""
    tokenizer = Tokenizer.load(transformer(kind) / "bundle")
    random = np.random.default_rng(2)
    prompts = [[BOS, *random.integers(5, tokenizer.vocab_size, size).tolist()] for size in (0, 3, 7, 11)]
    ids = tokenizer.encode(TEXTS)
    return {"prompts": prompts, "num": NUM, "texts": TEXTS, "ids": ids, "forbidden": FORBIDDEN}


def greedy(bundle: Path, prompts: list[list[int]]) -> list[list[int]]:
    """What the bundle writes, without torch: the tokens up to the end of each text."""
    graph, told = Graph(bundle / "generate.onnx"), []
    for ids in prompts:
        given = {"prompt_ids": np.array([ids]), "prompt_lengths": np.array([len(ids)]), "seeds": np.array([0])}
        how = {"temperature": np.float32(0), "top_k": 0, "top_p": np.float32(1), "min_p": np.float32(0)}
        (new_1N,) = graph(max_new_tokens=NUM, **given, **how)
        told.append(text(new_1N[0].tolist()))
    return told


def text(ids: list[int]) -> list[int]:
    return [i for i in ids if i not in (EOS, PAD)]


def test_onnxruntime_opens_it_where_there_is_no_torch():
    """A recurrent generator of words."""
    bundle, texts = exported() / "bundle", ["bal dem fit", "kem gin"]
    session = Session(bundle)
    answer = opened("onnxruntime", bundle, {"texts": texts})
    assert answer == {"texts": session.generate(prompts=texts, temperature=0), "nll": session.score(texts)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_transformers_opens_it(kind: Kind):
    """Equal logits, the same greedy tokens, the same ids of a text and the same text of ids."""
    out, asked = transformer(kind), question(kind)
    answer = opened("transformers", out / "huggingface", asked)
    model = load_generator(out / "checkpoint")
    for ids, logits_TV in zip(asked["prompts"], answer["logits"]):
        with torch.no_grad():
            torch.testing.assert_close(
                model.eval().logits(torch.tensor([ids]))[0], torch.tensor(logits_TV), atol=1e-4, rtol=0
            )
    assert [text(ids) for ids in answer["tokens"]] == greedy(out / "bundle", asked["prompts"])
    assert answer["ids"] == asked["ids"]
    if kind == "bpe":
        assert answer["texts"] == TEXTS


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_onnxruntime_genai_opens_it(kind: Kind):
    """The same greedy tokens of prompts of unlike lengths in one batch; of byte pairs also text ↔ ids."""
    out, asked = transformer(kind), question(kind)
    answer = opened("onnxruntime_genai", out / "huggingface", asked | ({} if kind == "bpe" else {"texts": []}))
    assert [text(ids) for ids in answer["tokens"]] == greedy(out / "bundle", asked["prompts"])
    if kind == "bpe":
        assert answer["ids"] == asked["ids"]
        assert [told.removeprefix(" ") for told in answer["texts"]] == TEXTS


@pytest.mark.slow
def test_llama_cpp_opens_it():
    """The same greedy tokens, text ↔ ids, and how it samples unless told otherwise."""
    out, asked = transformer(), question()
    answer = opened("xllamacpp", out / "huggingface" / "model.gguf", asked)
    assert [text(ids) for ids in answer["tokens"]] == greedy(out / "bundle", asked["prompts"])
    assert answer["ids"] == asked["ids"]
    assert [told.removeprefix(" ") for told in answer["texts"]] == TEXTS
    assert {name: answer["settings"][name] for name in ("top_k", "top_p", "min_p")} == {
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
    }


@pytest.mark.slow
def test_the_same_checkpoint_gives_the_same_bytes_and_all_are_listed(tmp_path: Path):
    others, model = transformer() / "huggingface", load_generator(transformer() / "checkpoint")
    write_llama(model, tokens(kind="bpe"), tmp_path)
    write_gguf(model, tokens(kind="bpe"), tmp_path / "model.gguf", "f32", "")
    genai.write_genai(model, ExportConfig().opset, tmp_path)
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert all(data == (others / name).read_bytes() for name, data in again.items())
    manifest = parse_manifest(others)
    assert set(manifest["files"]) == set(again)
    assert not [*damage(others, manifest), *strangers(others, manifest)]


@pytest.mark.slow
def test_triton_understands_the_repository(tmp_path: Path):
    """By its own schema; and each graph is what its configuration says."""
    models = write_repository(exported() / "bundle", tmp_path / "models", "small")
    answer = opened("tritonclient", "", "\n".join(str(model / "config.pbtxt") for model in models))
    for model in models:
        told = answer[str(model / "config.pbtxt")]
        assert (told["name"], told["platform"]) == (model.name, "onnxruntime_onnx")
        graph = onnxruntime.InferenceSession(model / "1" / "model.onnx", providers=["CPUExecutionProvider"])
        for kind, values in (("input", graph.get_inputs()), ("output", graph.get_outputs())):
            types = {"tensor(int64)": "TYPE_INT64", "tensor(float)": "TYPE_FP32"}
            assert [(each["name"], each["data_type"], [int(size) for size in each["dims"]]) for each in told[kind]] == [
                (value.name, types[value.type], [size if isinstance(size, int) else -1 for size in value.shape])
                for value in values
            ]
            assert all(value.shape for value in values), "Triton has no scalars"
