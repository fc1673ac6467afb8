"""Causal LSTM discriminator: a verdict on every prefix, so that a policy gradient gets a reward at every token.

As the per-token discriminators of MaskGAN (Fedus et al. 2018) and ScratchGAN (de Masson d'Autume et al. 2019, §3.2).

Shapes: B texts, T tokens, V vocabulary, D embedding, H hidden, K classes.
"""

from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from gdcore.networks.layers import embed, unwrapped
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["causal_lstm"] = "causal_lstm"
    embedding_dim: int = Field(default=64, ge=1)
    """Width of the token embedding."""
    hidden_dim: int = Field(default=128, ge=1)
    """Width of the recurrent state."""
    num_layers: int = Field(default=1, ge=1)
    """LSTM layers on top of each other."""
    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of the embedding's and of the output's features dropped while training."""


class Discriminator(nn.Module):
    """`token_logits[:, t]` judges the prefix that ends at `t`; the text's verdict is that on its last token."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        self.lstm = nn.LSTM(config.embedding_dim, config.hidden_dim, config.num_layers, batch_first=True)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.verdict = nn.Linear(config.hidden_dim, num_classes)

    def token_logits(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,T)`, or `(B,T,K)`, of every prefix of ids `(B,T)` or soft rows `(B,T,V)`; zero on PAD."""
        return unwrapped(self._logits(inputs, mask_BT))

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, positive means «real»; `(B,K)` of K classes."""
        last_B11 = (mask_BT.sum(dim=1).clamp(min=1) - 1)[:, None, None]
        logits_BTK = self._logits(inputs, mask_BT)
        return unwrapped(logits_BTK.gather(1, last_B11.expand(-1, 1, logits_BTK.shape[2])).squeeze(1))

    def _logits(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        hidden_BTH, _ = self.lstm(self.dropout(embed(inputs, self.embedding.weight)))
        return self.verdict(self.dropout(self.norm(hidden_BTH))) * mask_BT.unsqueeze(-1)
