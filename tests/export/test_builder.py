"""Branches, loops, constants and inlining of the graph builder; the same calls give the same bytes."""

import numpy as np
import onnx
import pytest

from gdcore.export.builder import BOOL, FLOAT, INT64, Graph
from gdcore.serving import runtime


def run(g: Graph, **inputs: object) -> list[np.ndarray]:
    return runtime.Graph(g.model("test", 20).SerializeToString())(**inputs)  # type: ignore[arg-type]


def powers() -> Graph:
    """x, x², x³ … of which the last is below 100, and the list of them."""
    g = Graph()
    x = g.input("x", FLOAT, [])

    def turn(b: Graph, trip: str, value: str):
        after = b.Mul(value, x)
        return b.Less(after, 100.0), [after], [(value, FLOAT), (trip, INT64)]

    last, all_values, trips = g.Loop("", [(x, FLOAT)], turn)
    g.output("last", last, FLOAT, [])
    g.output("all", all_values, FLOAT, ["n"])
    g.output("trips", trips, INT64, ["n"])
    return g


def test_loop():
    last, values, trips = run(powers(), x=np.float32(3))
    assert last == 243
    assert values.tolist() == [3, 9, 27, 81]
    assert trips.tolist() == [0, 1, 2, 3]


def test_if_runs_one_branch_and_may_return_an_outer_value():
    g = Graph()
    x = g.input("x", FLOAT, [])
    y = g.If(
        g.Greater(x, 0.0), lambda b: x, lambda b: b.If(b.Less(x, -1.0), lambda _: x, lambda c: c.Neg(x), FLOAT), FLOAT
    )
    g.output("y", y, FLOAT, [])
    assert [float(run(g, x=np.float32(x))[0]) for x in (2, -0.5, -3)] == [2, 0.5, -3]


def test_equal_constants_are_stored_once():
    g = Graph()
    g.output(
        "y",
        g.Add(
            g.Add(g.input("x", FLOAT, ["n"]), 1.0),
            g.If(g.constant(np.True_), lambda b: b.constant(1.0), lambda b: b.constant(2.0), FLOAT),
        ),
        FLOAT,
        ["n"],
    )
    assert len(g.initializers) == 3


def test_inline_keeps_apart_what_only_bears_the_same_name():
    g = Graph()
    x = g.input("x", FLOAT, [])
    for value in (2.0, 3.0, 2.0):
        inner = Graph()
        inner.output("y", inner.Mul(inner.input("x", FLOAT, []), inner.weight("w", np.float32(value))), FLOAT, [])
        (x,) = g.inline(inner.model("inner", 20), [x])
    g.output("y", x, FLOAT, [])
    assert run(g, x=np.float32(1))[0] == 12
    assert len(g.initializers) == 2


def test_inline_renames_and_stores_weights_once():
    inner = powers().model("inner", 20)
    inner.graph.node[0].doc_string = "File /home/somebody/secret.py"
    entry = inner.graph.node[0].metadata_props.add()
    entry.key, entry.value = "stack_trace", "/home/somebody/secret.py"
    g = Graph()
    first, *_ = g.inline(inner, [g.input("x", FLOAT, [])])
    second, *_ = g.inline(inner, [g.Add(first, -240.0)])
    g.output("y", second, FLOAT, [])
    assert float(run(g, x=np.float32(3))[0]) == 243
    assert b"somebody" not in g.model("outer", 20).SerializeToString()
    names = [tensor.name for tensor in g.initializers]
    assert len(names) == len(set(names))


def test_same_calls_same_bytes():
    assert powers().model("a", 20).SerializeToString() == powers().model("a", 20).SerializeToString()


def test_invalid_graphs_are_refused():
    g = Graph()
    g.output("y", g.Add(g.input("x", FLOAT, ["n"]), g.constant(np.True_)), BOOL, ["n"])
    with pytest.raises((onnx.checker.ValidationError, onnx.shape_inference.InferenceError)):
        g.model("bad", 20)
