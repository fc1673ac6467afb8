"""A traced model with its weights in eight bits: a fourth of the bytes, products of whole numbers.

Weights are rounded once, each output channel on a scale of its own. What they are multiplied with is rounded as it
comes, **each text on a scale of its own**: ONNX's `DynamicQuantizeLinear` takes one for the whole batch, and what a
text draws would then depend on its neighbours. Both are unsigned about 128, for on processors without VNNI products of
unsigned with signed bytes saturate, silently; so the sums are exact, hence the same on every machine.

onnxruntime's own quantiser is not used: it skips what it does not recognise, and says nothing.

Shapes: B texts, K inputs, N outputs of a layer; V vocabulary, D features.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

MIDDLE = np.uint8(128)
"""What stands for 0."""
STEPS = np.float32(127)
"""So many steps on each side of it."""
LEAST = 512
"""Smaller weights stay as they are: nothing is gained."""
TINY = np.float32(1e-12)
"""In place of the largest number of a text that has only zeros."""


class NotQuantised(ValueError):
    """Weights that this module does not know how to make whole numbers of."""


def quantised(model: ModelProto) -> ModelProto:
    """The model with every large weight matrix in eight bits. Raises NotQuantised, with its name, for one that is used
    otherwise than by `Gemm`, `MatMul` or a look-up of rows; nothing is skipped silently."""
    result = ModelProto()
    result.CopyFrom(model)
    writer = _Writer(result)
    nodes = [each for node in model.graph.node for each in writer.rewritten(node)]
    del result.graph.node[:], result.graph.initializer[:]
    result.graph.node.extend(nodes)
    result.graph.initializer.extend(writer.kept())
    return result


class _Writer:
    def __init__(self, model: ModelProto) -> None:
        self.stored = {tensor.name: tensor for tensor in model.graph.initializer}
        self.large = {
            name
            for name, each in self.stored.items()
            if len(each.dims) > 1 and np.prod(each.dims) >= LEAST and each.data_type == TensorProto.FLOAT
        }
        self.made: dict[str, TensorProto] = {}
        self.rounded: dict[str, tuple[str, str]] = {}
        self.constants = {
            name: self._store(f"int8.{name}", np.asarray(value))
            for name, value in {
                "middle": MIDDLE,
                "offset": np.float32(MIDDLE),
                "steps": STEPS,
                "tiny": TINY,
                "last": np.array([-1]),
            }.items()
        }

    def kept(self) -> list[TensorProto]:
        """All that is stored: what was small as it was, what was large in eight bits."""
        return [each for name, each in self.stored.items() if name not in self.large] + list(self.made.values())

    def rewritten(self, node: NodeProto) -> list[NodeProto]:
        """The nodes that take a node's place."""
        if not (weights := [name for name in node.input if name in self.large]):
            return [node]
        if len(weights) == 1:
            attributes = {each.name: _value(each) for each in node.attribute}
            place = list(node.input).index(weights[0])
            if node.op_type in ("Gemm", "MatMul") and place == 1 and _plain(node, attributes):
                turned = bool(attributes.get("transB", 0))
                return self._product(node, weights[0], turned)
            if (
                node.op_type == "Gather"
                and place == 0
                and not attributes.get("axis", 0)
                and len(self.stored[weights[0]].dims) == 2
            ):
                return self._look_up(node, weights[0])
        raise NotQuantised(f"{node.op_type} uses {weights[0]} in a way that has no eight-bit form")

    def _product(self, node: NodeProto, weight: str, turned: bool) -> list[NodeProto]:
        """`x @ weight + bias`, of whole numbers."""
        if len(self.stored[weight].dims) != 2:
            raise NotQuantised(f"{weight} has {len(self.stored[weight].dims)} axes; expected 2")
        table, scale = self._weight(weight, channels=0 if turned else 1)
        nodes: list[NodeProto] = []
        rows, row_scale = self._rows(node.input[0], nodes)
        out = node.output[0]
        middle = self.constants["middle"]
        nodes += [
            helper.make_node("MatMulInteger", [rows, table, middle, middle], [f"{out}.whole"]),
            helper.make_node("Cast", [f"{out}.whole"], [f"{out}.real"], to=TensorProto.FLOAT),
            # One scale after the other: of their product onnxruntime makes a kernel that gets the bias wrong.
            helper.make_node("Mul", [f"{out}.real", row_scale], [f"{out}.of_rows"]),
        ]
        bias = node.input[2] if len(node.input) > 2 and node.input[2] else None
        product = f"{out}.product" if bias else out
        nodes.append(helper.make_node("Mul", [f"{out}.of_rows", scale], [product]))
        if bias:
            nodes.append(helper.make_node("Add", [product, bias], [out]))
        return nodes

    def _rows(self, x: str, nodes: list[NodeProto]) -> tuple[str, str]:
        """Whole numbers (…, K) of a value, and the scale (…, 1) of each row; made once, however often it is used."""
        if x not in self.rounded:
            steps, offset, tiny, last = (self.constants[name] for name in ("steps", "offset", "tiny", "last"))
            each = f"{x}.each"  # a product's output may be another's input: names must not meet
            chain: Sequence[tuple[str, list[str], str]] = [
                ("Abs", [x], "absolute"),
                ("ReduceMax", [f"{each}.absolute", last], "largest"),
                ("Max", [f"{each}.largest", tiny], "reach"),
                ("Div", [f"{each}.reach", steps], "scale"),
                ("Div", [x, f"{each}.scale"], "scaled"),
                ("Round", [f"{each}.scaled"], "round"),
                ("Add", [f"{each}.round", offset], "moved"),
            ]
            nodes += [helper.make_node(operator, inputs, [f"{each}.{name}"]) for operator, inputs, name in chain]
            nodes.append(helper.make_node("Cast", [f"{each}.moved"], [f"{each}.rows"], to=TensorProto.UINT8))
            self.rounded[x] = f"{each}.rows", f"{each}.scale"
        return self.rounded[x]

    def _look_up(self, node: NodeProto, weight: str) -> list[NodeProto]:
        """Rows of a table. It lies turned, as a product wants it: a tied one is stored once."""
        table_DV, scale_V = self._weight(weight, channels=0)
        out, ids = node.output[0], node.input[1]
        # (D, …) → (…, D): the ids of a step have one axis.
        return [
            helper.make_node("Gather", [table_DV, ids], [f"{out}.columns"], axis=1),
            helper.make_node("Transpose", [f"{out}.columns"], [f"{out}.bytes"], perm=[1, 0]),
            helper.make_node("Cast", [f"{out}.bytes"], [f"{out}.real"], to=TensorProto.FLOAT),
            helper.make_node("Sub", [f"{out}.real", self.constants["offset"]], [f"{out}.whole"]),
            helper.make_node("Gather", [scale_V, ids], [f"{out}.of_each"]),
            helper.make_node("Unsqueeze", [f"{out}.of_each", self.constants["last"]], [f"{out}.scale"]),
            helper.make_node("Mul", [f"{out}.whole", f"{out}.scale"], [out]),
        ]

    def _weight(self, name: str, channels: int) -> tuple[str, str]:
        """Its bytes, (inputs, channels), and the scale of each channel, which lie on this axis of the weight."""
        table, scale = f"{name}.int8.{channels}", f"{name}.scale.{channels}"
        if table not in self.made:
            weight = numpy_helper.to_array(self.stored[name])
            whole_KN, scale_N = rounded(weight.T if channels == 0 else weight)
            self._store(table, whole_KN)
            self._store(scale, scale_N)
        return table, scale

    def _store(self, name: str, array: NDArray[np.generic]) -> str:
        self.made[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name


def rounded(weight_KN: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Bytes (K, N) and scales (N): `(bytes - 128) * scales` is the weight, to within half a scale."""
    scale_N = np.maximum(np.abs(weight_KN).max(axis=0), TINY) / STEPS
    return (np.rint(weight_KN / scale_N) + np.float32(MIDDLE)).astype(np.uint8), scale_N


def _plain(node: NodeProto, attributes: dict[str, float]) -> bool:
    """Whether a product is `x @ weight + bias` and no more."""
    return (
        attributes.get("alpha", 1.0) == 1.0
        and (attributes.get("beta", 1.0) == 1.0 or len(node.input) < 3)
        and not attributes.get("transA", 0)
    )


def _value(attribute: AttributeProto) -> float:
    return helper.get_attribute_value(attribute)
