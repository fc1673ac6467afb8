"""A repository for Triton: each graph computes there what it computes in the bundle, and takes no scalars."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from small_bundle import exported

from gdcore.errors import UserError
from gdcore.export.repository import config, write_repository
from gdcore.serving.manifest import read_manifest
from gdcore.serving.runtime import Graph

GIVEN = {
    "prompt_ids": np.array([[1, 9, 12], [1, 7, 0]]),
    "prompt_lengths": np.array([3, 2]),
    "max_new_tokens": np.array(9),
    "temperature": np.array(0.8, np.float32),
    "top_k": np.array(0),
    "top_p": np.array(0.9, np.float32),
    "min_p": np.array(0, np.float32),
    "seeds": np.array([5, 6]),
    "tokens": np.array([[1, 9, 12, 2], [1, 7, 2, 0]]),
    "lengths": np.array([4, 3]),
}


def test_the_same_in_vectors(tmp_path: Path):
    bundle = exported() / "bundle"
    models = write_repository(bundle, tmp_path, "small")
    assert [model.name for model in models] == ["small_generate", "small_model", "small_discriminator"]
    for model in models:
        name = model.name.removeprefix("small_") + ".onnx"
        given = {value["name"]: GIVEN[value["name"]] for value in read_manifest(bundle)["graphs"][name]["inputs"]}
        vectors = {key: np.atleast_1d(value) for key, value in given.items()}
        expected, found = Graph(bundle / name)(**given), Graph(model / "1" / "model.onnx")(**vectors)
        assert all(np.array_equal(*pair) for pair in zip(expected, found, strict=True))
        assert [path.name for path in (model / "1").iterdir()] == ["model.onnx"], "its weights are in it"
    same = (tmp_path / "small_discriminator" / "1" / "model.onnx").read_bytes()
    assert same == (bundle / "discriminator.onnx").read_bytes(), "whole, and without scalars: left as it is"
    before = (models[0] / "1" / "model.onnx").read_bytes()
    write_repository(bundle, tmp_path, "small")
    assert (models[0] / "1" / "model.onnx").read_bytes() == before


def test_what_it_says_of_a_graph():
    described = {
        "inputs": [
            {"name": "ids", "dtype": "int64", "shape": ["batch", 3]},
            {"name": "p", "dtype": "float", "shape": []},
        ],
        "outputs": [{"name": "yes", "dtype": "bool", "shape": ["batch"]}],
    }
    lines = [
        'name: "m"', 'platform: "onnxruntime_onnx"', "max_batch_size: 0",
        "input {", '  name: "ids"', "  data_type: TYPE_INT64", "  dims: [ -1, 3 ]", "}",
        "input {", '  name: "p"', "  data_type: TYPE_FP32", "  dims: [ 1 ]", "}",
        "output {", '  name: "yes"', "  data_type: TYPE_BOOL", "  dims: [ -1 ]", "}",
    ]  # fmt: skip
    assert config("m", described).splitlines() == lines


def test_what_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="--model-name '../x': expected letters"):
        write_repository(exported() / "bundle", tmp_path, "../x")
    damaged = Path(shutil.copytree(exported() / "bundle", tmp_path / "bundle"))
    (damaged / "model.onnx").write_bytes(b"")
    with pytest.raises(UserError, match="model.onnx is damaged"):
        write_repository(damaged, tmp_path / "models", "m")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="give --out another name"):
        write_repository(exported() / "bundle", tmp_path / "file", "m")
