"""Bag-of-embeddings discriminator: the mean of the tokens' embeddings through a perceptron; word order is not seen.

As fastText (Joulin et al. 2017) and deep averaging networks (Iyyer et al. 2015).

Shapes: B texts, T tokens, V vocabulary, H hidden, K classes.
"""

from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gdcore.networks.layers import average, embed, unwrapped
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["mlp"] = "mlp"
    embedding_dim: int = Field(default=128, ge=1)
    """Width of the token embedding."""
    hidden_dim: int = Field(default=128, ge=1)
    """Width of each hidden layer."""
    num_layers: int = Field(default=1, ge=1)
    """Hidden layers."""
    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of the mean's and of the hidden features dropped while training."""


class Discriminator(nn.Module):
    """One logit a text, positive means «real»; or one a class, where there are several."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        dims = [config.embedding_dim, *[config.hidden_dim] * config.num_layers]
        hidden = [
            nn.Sequential(nn.Dropout(config.dropout), nn.Linear(below, above), nn.ReLU())
            for below, above in pairwise(dims)
        ]
        self.hidden = nn.Sequential(*hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.verdict = nn.Linear(config.hidden_dim, num_classes)

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, or `(B,K)`, of ids `(B,T)` or soft rows `(B,T,V)`; PAD changes nothing."""
        return unwrapped(self.verdict(self.dropout(self.features(inputs, mask_BT))))

    def features(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,H)`."""
        return self.hidden(average(embed(inputs, self.embedding.weight), mask_BT))
