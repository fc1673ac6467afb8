"""Bidirectional LSTM discriminator: each feature's strongest answer over the text, linear.

A recurrent classifier (Hochreiter and Schmidhuber 1997) that reads from both ends, pooled as in Conneau et al. 2017.

Shapes: B texts, T tokens, V vocabulary, H hidden, K classes.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gdcore.networks.layers import BidirectionalLSTM, embed, strongest, unwrapped
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["lstm"] = "lstm"
    embedding_dim: int = Field(default=64, ge=1)
    """Width of the token embedding."""
    hidden_dim: int = Field(default=128, ge=1)
    """Width of the recurrent state, of each direction."""
    num_layers: int = Field(default=1, ge=1)
    """Bidirectional layers on top of each other."""
    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of the embedding's and of the pooled features dropped while training."""


class Discriminator(nn.Module):
    """One logit a text, positive means «real»; or one a class, where there are several."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        self.lstm = BidirectionalLSTM(config.embedding_dim, config.hidden_dim, config.num_layers)
        self.dropout = nn.Dropout(config.dropout)
        self.verdict = nn.Linear(2 * config.hidden_dim, num_classes)

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, or `(B,K)`, of ids `(B,T)` or soft rows `(B,T,V)`; PAD changes nothing."""
        return unwrapped(self.verdict(self.dropout(self.features(inputs, mask_BT))))

    def features(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,2H)`."""
        embedded_BTD = self.dropout(embed(inputs, self.embedding.weight))
        return strongest(self.lstm(embedded_BTD, mask_BT), mask_BT)
