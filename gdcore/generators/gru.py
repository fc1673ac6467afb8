"""Gated recurrent units: an update gate mixes the old state with a candidate, which a reset gate lets see the old one.

Cho et al. 2014 (arXiv 1406.1078), in torch's form: the reset gate acts on U·hidden rather than on hidden, as in cuDNN.

Shapes: B texts, H hidden, G gates (3·H).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from gdcore.networks.recurrent import RecurrentConfig, RecurrentModel


class Config(RecurrentConfig):
    name: Literal["gru"] = "gru"


def Generator(config: Config, vocab_size: int, context: int) -> RecurrentModel:
    """A language model of gated recurrent units."""
    return RecurrentModel(config, vocab_size, context, nn.GRU, cell, num_states=1)


def cell(from_input_BG: Tensor, from_hidden_BG: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step of `nn.GRU`."""
    reset_in_BH, update_in_BH, candidate_in_BH = from_input_BG.chunk(3, dim=-1)
    reset_BH, update_BH, candidate_BH = from_hidden_BG.chunk(3, dim=-1)
    update_BH = torch.sigmoid(update_in_BH + update_BH)
    candidate_BH = torch.tanh(candidate_in_BH + torch.sigmoid(reset_in_BH + reset_BH) * candidate_BH)
    return ((1 - update_BH) * candidate_BH + update_BH * state[0],)
