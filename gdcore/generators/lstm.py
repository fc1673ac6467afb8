"""LSTM language model: embedding → stacked LSTM → projection → softmax over the vocabulary.

Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000.

Shapes: B texts, H hidden, G gates (4·H).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from gdcore.recurrent import RecurrentConfig, RecurrentModel


class Config(RecurrentConfig):
    name: Literal["lstm"] = "lstm"


def Generator(config: Config, vocab_size: int, context: int) -> RecurrentModel:
    """A language model of LSTM cells."""
    model = RecurrentModel(config, vocab_size, context, nn.LSTM, cell, num_states=2)
    for name, parameter in model.layers.named_parameters():
        if name.startswith("bias_ih"):  # an open forget gate lets gradients through from the first step
            parameter.data[config.hidden_dim : 2 * config.hidden_dim] = 1.0
    return model


def cell(from_input_BG: Tensor, from_hidden_BG: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step of `nn.LSTM`; the state is `(hidden, cell)`."""
    input_BH, forget_BH, update_BH, output_BH = (from_input_BG + from_hidden_BG).chunk(4, dim=-1)
    cell_BH = torch.sigmoid(forget_BH) * state[1] + torch.sigmoid(input_BH) * torch.tanh(update_BH)
    return torch.sigmoid(output_BH) * torch.tanh(cell_BH), cell_BH
