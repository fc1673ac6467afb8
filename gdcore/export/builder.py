"""A tiny builder of ONNX graphs: an operator is a method, a value is its name, a branch or a loop is a function.

>>> graph = Graph()
>>> x = graph.input("x", FLOAT, ["batch"])
>>> y = graph.If(graph.Greater(graph.ReduceSum(x, keepdims=0), 0.0), lambda b: b.Neg(x), lambda b: b.Exp(x), FLOAT)
>>> graph.output("y", y, FLOAT, ["batch"])
>>> model = graph.model("example", opset=20)

Plain numbers, lists of whole numbers and numpy arrays given to an operator become constants (int64, float32). Names are
counted, so that the same calls give the same bytes.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
IR_VERSION = 10

Operand: TypeAlias = str | float | Sequence[int] | NDArray[Any] | np.generic
Dimensions: TypeAlias = Sequence[str | int] | None
Typed: TypeAlias = tuple[str, int]
"""A value and its element type."""


class Graph:
    """A graph under construction; or the body of an `If` or `Loop` in one, which sees the values of those around it."""

    def __init__(self, parent: "Graph | None" = None) -> None:
        self.root: Graph = parent.root if parent else self
        self.nodes: list[NodeProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self.initializers: list[TensorProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.count = 0

    def input(self, name: str, dtype: int, dimensions: Dimensions) -> str:
        """Declare an input; a string is a dimension that varies, None a shape that does."""
        self.inputs.append(helper.make_tensor_value_info(name, dtype, dimensions))
        return name

    def output(self, name: str, value: str, dtype: int, dimensions: Dimensions) -> None:
        """Declare an output of the model."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, dimensions))

    def constant(self, value: Operand) -> str:
        """The name of a constant; equal ones are stored once, in the outermost graph."""
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.root.constants:
            self.root.constants[key] = self.weight(f"c{len(self.root.constants)}", array)
        return self.root.constants[key]

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """Store an array in the outermost graph."""
        self.root.initializers.append(numpy_helper.from_array(array, name))
        return name

    def fresh(self) -> str:
        """A new name."""
        self.root.count += 1
        return f"v{self.root.count}"

    def __getattr__(self, operator: str) -> Callable[..., str]:
        """Any ONNX operator of one output by its name, its attributes by keyword: `graph.Concat(x, y, axis=1)`."""
        if not operator[0].isupper():
            raise AttributeError(operator)
        return lambda *operands, **attributes: self.many(operator, 1, *operands, **attributes)[0]

    def many(self, operator: str, outputs: int, *operands: Operand, **attributes: Any) -> tuple[str, ...]:
        """An ONNX operator of several outputs."""
        names = [operand if isinstance(operand, str) else self.constant(operand) for operand in operands]
        results = tuple(self.fresh() for _ in range(outputs))
        self.nodes.append(helper.make_node(operator, names, results, **attributes))
        return results

    def If(self, condition: str, yes: Callable[["Graph"], str], no: Callable[["Graph"], str], dtype: int) -> str:
        """One of two values; the other's graph is not run."""
        branches = {"then_branch": self._branch(yes, dtype), "else_branch": self._branch(no, dtype)}
        return self.many("If", 1, condition, **branches)[0]

    def _branch(self, build: Callable[["Graph"], str], dtype: int) -> GraphProto:
        inner = Graph(self)
        inner._result(build(inner), dtype)
        return inner._proto()

    def Loop(
        self,
        trips: str,
        carried: Sequence[Typed],
        body: Callable[..., tuple[str, Sequence[str], Sequence[Typed]]],
    ) -> tuple[str, ...]:
        """Repeat `body(graph, trip, *carried) → (whether to go on, carried, collected)` at most `trips` times.

        Returns the last carried values, then the collected ones stacked on a new first axis. `trips` may be "": no end.
        """
        inner = Graph(self)
        trip, _ = inner.input(self.fresh(), INT64, []), inner.input(self.fresh(), BOOL, [])
        dtypes = [dtype for _, dtype in carried]
        go_on, after, collected = body(inner, trip, *(inner.input(self.fresh(), dtype, None) for dtype in dtypes))
        inner._result(go_on, BOOL, [])
        for value, dtype in [*zip(after, dtypes, strict=True), *collected]:
            inner._result(value, dtype)
        initial = [value for value, _ in carried]
        return self.many("Loop", len(after) + len(collected), trips, np.True_, *initial, body=inner._proto())

    def _result(self, value: str, dtype: int, dimensions: Dimensions = None) -> None:
        """Declare an output of a body, which must be a value of its own that is no output yet."""
        own = any(value in node.output for node in self.nodes)
        if not own or any(value == output.name for output in self.outputs):
            value = self.Identity(value)
        self.outputs.append(helper.make_tensor_value_info(value, dtype, dimensions))

    def _proto(self) -> GraphProto:
        return helper.make_graph(self.nodes, self.fresh(), self.inputs, self.outputs)

    def inline(self, model: ModelProto, inputs: Sequence[str]) -> list[str]:
        """Run another model's graph on these inputs, in place; its weights are stored in the outermost graph, once.

        Returns its outputs. Nested bodies are renamed too; the model must not define functions of its own.
        """
        assert not model.functions
        graph = model.graph
        names = dict(zip((value.name for value in graph.input), inputs, strict=True)) | {"": ""}
        stored = {tensor.name: tensor for tensor in self.root.initializers}
        for tensor in graph.initializer:
            copy = TensorProto()
            copy.CopyFrom(tensor)
            copy.name, copy.doc_string = f"w.{tensor.name}", ""
            while copy.name in stored and copy != stored[copy.name]:  # another model's, which only bears the same name
                copy.name += "'"
            names[tensor.name] = copy.name
            if copy.name not in stored:
                self.root.initializers.append(copy)
        self.nodes += [_renamed(node, names, self.fresh) for node in graph.node]
        return [names[value.name] for value in graph.output]

    def model(self, name: str, opset: int) -> ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
        model.producer_name = "gdflow"
        onnx.checker.check_model(model, full_check=True)  # pyright: ignore[reportUnknownMemberType]
        return model


def _renamed(node: NodeProto, names: dict[str, str], fresh: Callable[[], str]) -> NodeProto:
    """A copy of a node with its values renamed by `names`, which learns those it defines; no trace of its origin."""
    copy = helper.make_node(node.op_type, [names[name] for name in node.input], [], domain=node.domain)
    for name in node.output:
        names[name] = names.get(name) or (fresh() if name else "")
    copy.output.extend(names[name] for name in node.output)
    for attribute in node.attribute:
        kept = copy.attribute.add()
        kept.CopyFrom(attribute)
        if attribute.type == onnx.AttributeProto.GRAPH:
            kept.g.CopyFrom(_renamed_graph(attribute.g, names, fresh))
    return copy


def _renamed_graph(graph: GraphProto, names: dict[str, str], fresh: Callable[[], str]) -> GraphProto:
    scope = dict(names)
    scope |= {value.name: fresh() for value in [*graph.input, *graph.initializer]}
    copy = GraphProto(name=fresh(), node=[_renamed(node, scope, fresh) for node in graph.node])
    copy.input.extend(graph.input)
    copy.output.extend(graph.output)
    copy.initializer.extend(graph.initializer)
    for value in (*copy.input, *copy.output, *copy.initializer):
        value.name, value.doc_string = scope[value.name], ""
    return copy
