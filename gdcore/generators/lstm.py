"""LSTM language model: embedding → stacked LSTM → projection → softmax over the vocabulary.

Hochreiter & Schmidhuber 1997; regularised as in Zaremba et al. 2014. The model itself is in
`gdcore.networks.recurrent`, for the `vae` generator writes with it too.
"""

from typing import Literal

from gdcore.networks import recurrent
from gdcore.networks.recurrent import RecurrentConfig, RecurrentModel


class Config(RecurrentConfig):
    name: Literal["lstm"] = "lstm"


def Generator(config: Config, vocab_size: int, context: int) -> RecurrentModel:
    """A language model of LSTM cells."""
    return recurrent.lstm(config, vocab_size, context)
