"""Simple recurrent network: hidden = tanh(W x + U hidden + b).

Elman 1990; as a language model Mikolov et al. 2010. The baseline that gates are measured against.

Shapes: B texts, H hidden.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from gdcore.networks.recurrent import RecurrentConfig, RecurrentModel


class Config(RecurrentConfig):
    name: Literal["rnn"] = "rnn"


def Generator(config: Config, vocab_size: int, context: int) -> RecurrentModel:
    """A language model of tanh cells."""
    model = RecurrentModel(config, vocab_size, context, nn.RNN, cell, num_states=1)
    for name, parameter in model.layers.named_parameters():
        if name.startswith("weight_hh"):  # a rotation neither dies out nor explodes at first (Saxe et al. 2014)
            nn.init.orthogonal_(parameter)
    return model


def cell(from_input_BH: Tensor, from_hidden_BH: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step of `nn.RNN`."""
    return (torch.tanh(from_input_BH + from_hidden_BH),)
