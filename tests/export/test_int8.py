"""Weights of eight bits: really smaller, nearly as good, the same on every machine and beside any neighbour."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_bundle import CONTEXT, exported, folder, generator, tokens
from typer.testing import CliRunner

from flows.cli import app
from gdcore.errors import UserError
from gdcore.export.bundle import ExportConfig, export_bundle
from gdcore.export.int8 import NotQuantised, quantised, rounded
from gdcore.export.parity import ParityError
from gdcore.export.scoring import scoring_model
from gdcore.export.step import Step
from gdcore.export.twins import Cost
from gdcore.serving.runtime import Graph
from gdcore.serving.session import Session
from gdcore.tokenizer import BOS

WIDE = {
    "lstm": {"embedding_dim": 128, "hidden_dim": 256},
    "transformer": {"hidden_dim": 128, "num_layers": 2, "num_heads": 4, "num_kv_heads": 2, "mlp_dim": 256},
}
TWINS = ["decode.int8.onnx", "generate.int8.onnx", "model.int8.onnx"]


@cache
def bundle() -> Path:
    """One with twins, of the same checkpoint as the others; random weights suffer more than trained ones."""
    out = folder() / "int8"
    config = ExportConfig(parity_texts=60, license="CC0-1.0", int8=True, int8_nll=0.05)
    checkpoint = exported() / "checkpoint"
    for _ in export_bundle(config, checkpoint, checkpoint, tokens(), out, {"text": {"train_texts": 240}}):
        pass
    return out / "bundle"


def test_a_product_of_bytes_is_exact_here() -> None:
    """Unsigned by signed, which quantisers make by default, is not on processors without VNNI."""
    random = np.random.default_rng(0)
    a, w = (random.choice([0, 1, 128, 254, 255], shape).astype(np.uint8) for shape in ((3, 256), (256, 33)))
    node = helper.make_node("MatMulInteger", ["a", "w", "z", "z"], ["y"])
    stored = [numpy_helper.from_array(w, "w"), numpy_helper.from_array(np.uint8(128), "z")]
    inputs = [helper.make_tensor_value_info("a", TensorProto.UINT8, [None, 256])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.INT32, [None, 33])]
    graph = helper.make_graph([node], "product", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (y,) = Graph(model.SerializeToString())(a=a)
    assert np.array_equal(y, (a.astype(np.int64) - 128) @ (w.astype(np.int64) - 128))


def test_bytes_are_within_half_a_step_of_the_weight() -> None:
    weight_KN = np.random.default_rng(0).standard_normal((40, 9)).astype(np.float32) * np.arange(9, dtype=np.float32)
    whole_KN, scale_N = rounded(weight_KN)
    assert np.all(np.abs((whole_KN.astype(np.float32) - 128) * scale_N - weight_KN) <= scale_N * 0.5001)
    assert np.array_equal(whole_KN[:, 0], np.full(40, 128)), "a channel of zeros"


@pytest.mark.parametrize("name", ["lstm", pytest.param("transformer", marks=pytest.mark.slow)])
def test_it_is_a_fourth_and_nearly_as_good(name: str) -> None:
    step = Step(generator(name, vocab_size=2000, **WIDE[name]), 20)
    models = scoring_model(step, 20), scoring_model(step.in_int8(), 20)
    whole, small = (model.SerializeToString(deterministic=True) for model in models)
    assert 3.5 < len(whole) / len(small) <= 4
    assert scoring_model(step.in_int8(), 20).SerializeToString(deterministic=True) == small
    left = [list(each.dims) for each in models[1].graph.initializer if each.data_type == TensorProto.FLOAT]
    assert not [dims for dims in left if len(dims) == 2], "no matrix was passed over, the tied head least of all"
    tokens_BT = np.random.default_rng(0).integers(5, 2000, (16, CONTEXT))
    tokens_BT[:, 0] = BOS
    lengths_B = np.full(16, CONTEXT)
    (nll_BT,), (nll8_BT,) = (Graph(each)(["nll"], tokens=tokens_BT, lengths=lengths_B) for each in (whole, small))
    assert not np.array_equal(nll_BT, nll8_BT)
    assert abs(float(nll8_BT.mean() - nll_BT.mean())) < 0.1  # of weights four times too large
    (alone_1T,) = Graph(small)(["nll"], tokens=tokens_BT[3:4], lengths=lengths_B[:1])
    assert np.array_equal(alone_1T[0], nll8_BT[3]), "a text is what it is beside any other"


def test_a_bias_is_added_as_it_is() -> None:
    """onnxruntime fuses what looks like its own quantiser's work, and then scales the bias too."""
    random = np.random.default_rng(0)
    x, weight = (random.standard_normal(shape).astype(np.float32) for shape in ((4, 32), (32, 32)))
    bias = np.full(32, 1000, np.float32)
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)
    stored = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 32])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 32])]
    graph = helper.make_graph([node], "g", inputs, outputs, stored)
    model = quantised(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    (y,) = Graph(model.SerializeToString())(x=x)
    assert np.abs(y - (x @ weight.T + bias)).max() < 0.5


def test_weights_used_in_an_unknown_way_are_told() -> None:
    weight = numpy_helper.from_array(np.ones((32, 32), np.float32), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 32])
    for node, words in [
        (helper.make_node("Mul", ["x", "w"], ["y"]), "Mul uses w"),
        (helper.make_node("Gemm", ["x", "w"], ["y"], alpha=2.0), "Gemm uses w"),
        (helper.make_node("Gemm", ["w", "x"], ["y"]), "Gemm uses w"),
    ]:
        graph = helper.make_graph([node], "g", [value], [], [weight])
        with pytest.raises(NotQuantised, match=words):
            quantised(helper.make_model(graph))


def test_a_bundle_with_twins() -> None:
    manifest = json.loads((bundle() / "manifest.json").read_text())
    assert set(TWINS) <= set(manifest["files"])
    assert set(TWINS) <= set(manifest["graphs"])
    assert manifest["int8"] == json.loads((bundle() / "parity.json").read_text())["int8"]
    cost = Cost(**manifest["int8"])
    assert (cost.texts, cost.allowed) == (60, 0.05)
    assert abs(cost.change) < 0.05
    for name in TWINS:
        onnx.checker.check_model(onnx.load(bundle() / name), full_check=True)
    small, whole = Session(bundle(), precision="int8"), Session(bundle())
    texts = whole.generate(20, seed=1)
    assert texts == Session(exported() / "bundle").generate(20, seed=1), "the others are what they were"
    ours = small.generate(20, seed=1)
    assert ours != [""] * 20
    assert small.generate(20, seed=1) == ours
    assert small.generate(5, seed=1, first=7) == ours[7:12], "whatever stands before it"
    assert "".join(small.stream(seed=1)) == ours[0]
    assert small.score(texts) == pytest.approx(whole.score(texts), abs=0.5)
    assert small.score(texts) != whole.score(texts)
    assert small.judge(texts) == whole.judge(texts)


def test_by_the_command() -> None:
    options = ["generate", "--bundle", str(bundle()), "--seed", "3", "--num", "4", "--json"]
    done = CliRunner().invoke(app, [*options, "--int8"])
    assert json.loads(done.stdout)["texts"] == Session(bundle(), precision="int8").generate(4, seed=3)
    with pytest.raises(UserError, match=r"has no int8 twins: export it again with --set export\.int8=true"):
        Session(exported() / "bundle", precision="int8")
    with pytest.raises(ValueError, match="precision must be one of float32, int8"):
        Session(bundle(), precision="int4")  # pyright: ignore[reportArgumentType]


def test_twins_that_are_too_bad_are_refused() -> None:
    for nll in (2.0, float("nan")):
        with pytest.raises(ParityError, match=r"instead of 1\.0000 .*allowed 0\.005.*export\.int8_nll"):
            Cost(10, 100, 1.0, nll, 0.005, 4, 1).check()
    Cost(10, 100, 1.0, 1.004, 0.005, 4, 1).check()
