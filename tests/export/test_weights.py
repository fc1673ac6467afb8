"""What graphs share is stored once, and they compute the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto
from small_bundle import exported

from gdcore.errors import UserError
from gdcore.export import weights
from gdcore.export.builder import FLOAT, Graph
from gdcore.export.bundle import graph_description
from gdcore.serving import runtime
from gdcore.serving.session import Session


def product(*matrices: np.ndarray) -> ModelProto:
    """A graph that multiplies its input with these in turn, and adds 1."""
    g = Graph()
    x = g.input("x", FLOAT, ["batch", 32])
    for i, matrix in enumerate(matrices):
        x = g.MatMul(x, g.weight(f"w{i}", matrix))
    g.output("y", g.Add(x, 1.0), FLOAT, ["batch", 32])
    return g.model("product", 20)


def test_what_is_shared_lies_in_one_file(tmp_path: Path):
    rng = np.random.default_rng(0)
    both, own, x = (rng.standard_normal((32, 32)).astype(np.float32) for _ in range(3))
    graphs = {"a.onnx": product(both, own), "b.onnx": product(both), "c.onnx": product(both.T.copy())}
    expected = [runtime.Graph(model.SerializeToString())(x=x)[0] for model in graphs.values()]
    weights.write(tmp_path, graphs, "shared.bin")
    assert (tmp_path / "shared.bin").read_bytes() == both.tobytes(), "once, and nothing else"
    assert [weights.file_of(model) for model in graphs.values()] == ["shared.bin", "shared.bin", None]
    assert [graph_description(model).get("weights") for model in graphs.values()] == ["shared.bin", "shared.bin", None]
    for name, y in zip(graphs, expected, strict=True):
        onnx.checker.check_model(str(tmp_path / name), full_check=True)
        np.testing.assert_array_equal(runtime.Graph(tmp_path / name)(x=x)[0], y)


def test_tensors_begin_at_pages(tmp_path: Path):
    matrices = [np.full((32, 32), i, np.float32) for i in (1, 2)]
    weights.write(tmp_path, {"a.onnx": product(*matrices), "b.onnx": product(*matrices)}, "shared.bin")
    stored = (tmp_path / "shared.bin").read_bytes()
    assert stored == matrices[0].tobytes() + matrices[1].tobytes(), "4,096 bytes each: a page"
    big = np.ones((32, 33), np.float32)
    weights.write(tmp_path, {"a.onnx": _pair(big, matrices[0]), "b.onnx": _pair(big, matrices[0])}, "padded.bin")
    stored = (tmp_path / "padded.bin").read_bytes()
    assert stored == big.tobytes() + bytes(2 * weights.PAGE - big.nbytes) + matrices[0].tobytes()


def _pair(*matrices: np.ndarray) -> ModelProto:
    g = Graph()
    for i, matrix in enumerate(matrices):
        g.output(f"y{i}", g.Neg(g.weight(f"w{i}", matrix)), FLOAT, list(matrix.shape))
    return g.model("pair", 20)


def test_graphs_that_share_nothing_have_no_such_file(tmp_path: Path):
    weights.write(tmp_path, {"a.onnx": product(np.eye(32, dtype=np.float32))}, "shared.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_a_bundle_holds_its_generator_once():
    bundle = exported() / "bundle"
    manifest = json.loads((bundle / "manifest.json").read_text())
    sharing = {name for name, graph in manifest["graphs"].items() if graph.get("weights") == "weights.bin"}
    assert sharing == {"generate.onnx", "decode.onnx", "model.onnx"}
    trained = sum(path.stat().st_size for path in (exported() / "checkpoint").glob("generator.*"))
    stored = sum((bundle / name).stat().st_size for name in (*sharing, "weights.bin"))
    assert stored < trained + 3 * 60_000


def test_weights_that_the_manifest_does_not_list_are_not_read(tmp_path: Path):
    bundle = Path(shutil.copytree(exported() / "bundle", tmp_path / "bundle"))
    manifest = json.loads((bundle / "manifest.json").read_text())
    del manifest["files"]["weights.bin"]
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"has no weights\.bin, by its manifest: export it again"):
        Session(bundle).generate()
    (bundle / "weights.bin").unlink()
    shutil.copy(exported() / "bundle" / "manifest.json", bundle)
    with pytest.raises(UserError, match=r"weights\.bin is damaged: expected \d+ bytes, found no such file"):
        Session(bundle)
