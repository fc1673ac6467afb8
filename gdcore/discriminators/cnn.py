"""Convolutional discriminator: n-gram detectors of several widths, max over time, highway, linear.

Kim 2014; as SeqGAN's discriminator (Yu et al. 2017, §3.3) but with fewer widths.

Shapes: B texts, T tokens, V vocabulary, D embedding, C channels, K classes.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gdcore.networks.layers import Convolutions, Highway, embed, unwrapped
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["cnn"] = "cnn"
    embedding_dim: int = Field(default=64, ge=1)
    """Width of the token embedding."""
    widths: tuple[int, ...] = Field(default=(2, 3, 4, 5), min_length=1)
    """Lengths, in tokens, of the n-grams that the filters look at."""
    num_filters: int = Field(default=100, ge=1)
    """Filters of each width."""
    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of the features dropped while training."""


class Discriminator(nn.Module):
    """One logit a text, positive means «real»; or one a class, where there are several."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        self.convolutions = Convolutions(config.embedding_dim, config.num_filters, config.widths)
        features = config.num_filters * len(config.widths)
        self.highway = Highway(features)
        self.dropout = nn.Dropout(config.dropout)
        self.verdict = nn.Linear(features, num_classes)

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, or `(B,K)`, of ids `(B,T)` or soft rows `(B,T,V)`; PAD changes nothing."""
        return unwrapped(self.verdict(self.dropout(self.features(inputs, mask_BT))))

    def features(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,C)`: each filter's strongest answer over the windows that begin inside the text."""
        return self.highway(self.convolutions(embed(inputs, self.embedding.weight), mask_BT))
