"""A bundle: complete, the same bytes each time, silent about the machine, never one whose graphs differ from torch."""

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from small_bundle import checkpoint, exported, tokens

from gdcore.decoding import Decoding
from gdcore.export import parity
from gdcore.export.bundle import ExportConfig, export_bundle
from gdcore.export.parity import Difference, Parity, ParityError
from gdcore.serving.manifest import read_manifest
from gdcore.shards import Shards
from gdcore.training.checkpoint import load_discriminator, load_generator

FILES = [
    "decode.onnx",
    "discriminator.onnx",
    "generate.onnx",
    "manifest.json",
    "model.onnx",
    "model_card.md",
    "parity.json",
    "weights.bin",
]


def result(iterator: Generator[object, None, Parity]) -> Parity:
    """What a generator returns in the end."""
    try:
        while True:
            next(iterator)
    except StopIteration as stop:
        return stop.value


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_in_it():
    folder = exported() / "bundle"
    assert sorted(contents(folder)) == sorted([*FILES, "tokenizer.json", "tokenizer_config.json"])
    manifest = read_manifest(folder)
    assert set(manifest["files"]) == set(contents(folder)) - {"manifest.json"}
    assert manifest["about"] == {"data": "made up"}
    assert manifest["license"] == "CC0-1.0"
    assert (manifest["vocab_size"], manifest["context"], manifest["prompted"]) == (155, 24, False)
    assert manifest["special_tokens"] == {"pad": 0, "bos": 1, "eos": 2, "unk": 3, "sep": 4}
    assert manifest["generator"]["name"] == "lstm"
    inputs = {
        value["name"]: (value["dtype"], value["shape"]) for value in manifest["graphs"]["generate.onnx"]["inputs"]
    }
    assert inputs["prompt_ids"] == ("int64", ["batch", "prompt"])
    assert inputs["temperature"] == ("float", [])
    assert {graph["opset"] for graph in manifest["graphs"].values()} == {20}


def test_parity_is_recorded():
    figures = json.loads((exported() / "bundle" / "parity.json").read_text())
    assert figures["texts"] == figures["greedy"]["identical"] == 60
    assert all(figures[name]["compared"] > 0 for name in ("logits", "nll", "discriminator"))
    assert all(figures[name]["largest"] <= 1e-4 for name in ("logits", "nll", "discriminator"))
    assert all(mode["identical"] == 60 for mode in figures["sampled"])


def test_same_checkpoint_same_bytes_without_discriminator(tmp_path: Path):
    """In this process, which has traced other models before."""
    folder = exported() / "checkpoint"
    for _ in export_bundle(ExportConfig(parity_texts=5), folder, None, tokens(), tmp_path, {}):
        pass
    again, before = contents(tmp_path / "bundle"), contents(exported() / "bundle")
    assert "discriminator.onnx" not in again
    assert again["generate.onnx"] == before["generate.onnx"]
    assert again["decode.onnx"] == before["decode.onnx"]
    assert again["model.onnx"] == before["model.onnx"]


@pytest.mark.slow
def test_same_bytes_in_another_process(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from gdcore.export.bundle import *\n"
        "model, tokens, out = map(Path, sys.argv[1:])\n"
        "config = ExportConfig(parity_texts=60, license='CC0-1.0')\n"
        "list(export_bundle(config, model, model, tokens, out, {'data': 'made up'}))"
    )
    for hash_seed in "12":
        arguments = [str(exported() / "checkpoint"), str(tokens()), str(tmp_path / hash_seed)]
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        subprocess.run([sys.executable, "-c", code, *arguments], check=True, env=environment, cwd=tmp_path.cwd())
        assert contents(tmp_path / hash_seed / "bundle") == contents(exported() / "bundle")


def test_it_says_nothing_about_the_machine():
    for name, data in contents(exported() / "bundle").items():
        for word in (str(Path.cwd()), str(Path.home()), sys.prefix, ".py", 'File "', "stack_trace"):
            assert word.encode() not in data, f"{name} contains {word}"


def test_different_numbers_are_refused(tmp_path: Path):
    """Graphs of which one weight was changed do not pass."""
    folder = Path(shutil.copytree(exported() / "bundle", tmp_path / "bundle"))
    for path in folder.glob("*.onnx"):
        model = onnx.load(path)
        weight = max(model.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
        weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.5), weight.name))
        onnx.save(model, path)
    generator, judge = load_generator(exported() / "checkpoint"), load_discriminator(exported() / "checkpoint")
    figures = result(parity.measure(folder, generator, judge, Shards.open(tokens(), "test"), 50))
    numbers = (
        r"logits differ by .* \(≤ 0\.0001\); nll differ by .*; discriminator differ by .*; greedy: \d+ of 50 texts"
    )
    with pytest.raises(ParityError, match=numbers):
        figures.check()


def test_not_a_number_is_no_parity():
    import torch

    difference = Difference()
    difference.add(torch.zeros(3), np.array([0, np.nan, 0], np.float32))
    assert not difference.passed
    figures = Parity(10)
    figures.greedy.texts, figures.greedy.identical, figures.greedy.ties = 10, 8, 1
    with pytest.raises(ParityError, match="greedy: 8 of 10 texts identical"):
        figures.check()
    figures.greedy.ties = 2
    figures.check()


def test_graphs_are_valid_and_small():
    for path in (exported() / "bundle").glob("*.onnx"):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert (model.producer_name, model.ir_version) == ("gdflow", 10)
        assert not model.functions
    assert parity.TOLERANCE == 1e-4


def test_checkpoint_that_is_none(tmp_path: Path):
    with pytest.raises(ValueError, match="is no checkpoint"):
        list(export_bundle(ExportConfig(), tmp_path, None, tokens(), tmp_path, {}))
    assert checkpoint(tmp_path / "c", discriminator=None).is_dir()


def test_a_draw_at_the_edge_of_two_tokens_may_go_either_way():
    logits_V = torch.full((9,), -torch.inf)
    logits_V[5:] = 0.0  # a quarter each: edges at .25, .5 and .75
    at = functools.partial(parity._is_tie, logits_V)
    beside, inside = np.full((1, 1), 0.500001, np.float32), np.full((1, 1), 0.6, np.float32)
    assert at(7, 6, Decoding(), beside)
    assert not at(7, 5, Decoding(), beside), "two tokens away"
    assert not at(7, 6, Decoding(), inside)
    assert not at(7, 6, Decoding(top_p=0.9), beside), "what is drawn anew has no edge there"
