"""Models as they are when they write, yet with gradients: for objectives that compare two distributions, not two draws.

Dropout makes of a model a draw from many. Where one model is to follow another, the noise of both is part of what is
minimised, and the cheapest way to lower that part is to become sharp, where all draws agree.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from torch import nn

from gdcore.contracts import Module


@contextmanager
def undisturbed(*models: Module) -> Iterator[None]:
    """Evaluation mode for a while.

    Recurrent layers alone stay in the mode they were in, with their dropout off: cuDNN's refuse to be differentiated in
    evaluation mode.
    """
    modules = [module for model in models for module in cast(nn.Module, model).modules()]
    recurrent = [module for module in modules if isinstance(module, nn.RNNBase)]
    before: list[tuple[Any, bool]] = [(module, module.training) for module in modules]
    rates = [layer.dropout for layer in recurrent]
    try:
        for module, _ in before:
            module.training = isinstance(module, nn.RNNBase) and module.training
        for layer in recurrent:
            layer.dropout = 0.0
        yield
    finally:
        for module, training in before:
            module.training = training
        for layer, rate in zip(recurrent, rates, strict=True):
            layer.dropout = rate
