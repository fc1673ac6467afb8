"""A torch module as ONNX.

What torch's exporter says about the machine (paths, stack traces) goes when `Graph.inline` copies what it made.
"""

import logging
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import torch
from onnx import ModelProto, inliner
from torch import Tensor, nn

Axes = Mapping[int, str]
"""The axes of a tensor that vary, and their names."""


def trace(module: nn.Module, examples: Sequence[tuple[Tensor, Axes]], opset: int) -> ModelProto:
    """`module(*examples)` in evaluation mode, as a model to be laid into a graph by `Graph.inline`.

    An example must be longer than 1 along the axes that vary: torch takes a 1 for fixed.
    """
    dimensions = {name: torch.export.Dim(name) for _, axes in examples for name in axes.values()}
    # The arguments of a `forward(*inputs)` count as one tuple.
    shapes = tuple({axis: dimensions[name] for axis, name in axes.items()} for _, axes in examples)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(  # pyright: ignore[reportUnknownMemberType]
            _Variadic(module.eval()),
            tuple(tensor for tensor, _ in examples),
            dynamic_shapes=(shapes,),
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return inliner.inline_local_functions(program.model_proto)


class _Variadic(nn.Module):
    """A module under one signature, whatever its own."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.module(*inputs)


@contextmanager
def _quiet() -> Generator[None]:
    """Without what torch's exporter has to say about itself; and with its memory of recurrent layers wiped.

    It decomposes an LSTM or GRU for the sequence length of the first export of the process, and keeps that.
    """
    for operator in (torch.ops.aten.lstm.input, torch.ops.aten.gru.input):
        operator._dispatch_cache.clear()  # pyright: ignore[reportPrivateUsage]
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
