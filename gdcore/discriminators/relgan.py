"""RelGAN's discriminator: several embedded views of a text, each judged by the same convolutional classifier.

Nie, Narodytska & Patel 2019 («RelGAN», ICLR), §2.3: 64 views, filters of widths 2 to 5, 300 of each. Departures: fewer
of both by default, for a CPU. The paper averages the views' losses, and so do the objectives `relgan` and `gsgan`; to
all others the mean of the views' logits is the verdict.

Shapes: B texts, T tokens, V vocabulary, W views, D features of a view, C channels, K classes.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gdcore.networks.layers import Convolutions, Highway, embed, unwrapped
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["relgan"] = "relgan"
    num_views: int = Field(default=8, ge=1)
    """Embedded representations of a text; the paper's 64."""
    view_dim: int = Field(default=8, ge=1)
    """Width of each; the paper's is 1."""
    widths: tuple[int, ...] = Field(default=(2, 3, 4, 5), min_length=1)
    """Lengths, in tokens, of the n-grams that the filters look at."""
    num_filters: int = Field(default=50, ge=1)
    """Filters of each width, shared by the views; the paper's 300."""
    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of the features dropped while training."""


class Discriminator(nn.Module):
    """One logit a text, positive means «real»; or one a class, where there are several."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.num_views * config.view_dim)
        self.convolutions = Convolutions(config.view_dim, config.num_filters, config.widths)
        features = config.num_filters * len(config.widths)
        self.highway = Highway(features)
        self.dropout = nn.Dropout(config.dropout)
        self.verdict = nn.Linear(features, num_classes)

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, or `(B,K)`, of ids `(B,T)` or soft rows `(B,T,V)`; PAD changes nothing."""
        return unwrapped(self.view_logits(inputs, mask_BT).mean(dim=1))

    def view_logits(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,W,K)` of each view by itself."""
        return self.verdict(self.dropout(self.view_features(inputs, mask_BT)))

    def features(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,C)`, averaged over the views."""
        return self.view_features(inputs, mask_BT).mean(dim=1)

    def view_features(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,W,C)` of each view."""
        views = self.config.num_views
        embedded_BTWD = embed(inputs, self.embedding.weight).unflatten(-1, (views, self.config.view_dim))
        # The views lie among the texts, for they share one network.
        texts_NTD = embedded_BTWD.transpose(1, 2).flatten(0, 1)
        mask_NT = mask_BT.repeat_interleave(views, dim=0)
        return self.highway(self.convolutions(texts_NTD, mask_NT)).unflatten(0, (-1, views))
