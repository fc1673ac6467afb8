"""Transformer encoder discriminator: every token sees the whole text; the mean of what they saw, linear.

Vaswani et al. 2017, §3, with the normalisation before each sublayer (Xiong et al. 2020) and GELU; sinusoidal positions,
so that no longest text is fixed.

Shapes: B texts, T tokens, V vocabulary, D features, N heads, K classes.
"""

import math
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from gdcore.networks.layers import average, embed, unwrapped
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["transformer"] = "transformer"
    hidden_dim: int = Field(default=128, ge=2)
    """Width of the embedding and of every layer."""
    num_layers: int = Field(default=2, ge=1)
    """Encoder layers."""
    num_heads: int = Field(default=4, ge=1)
    """Attention heads; they divide `hidden_dim`."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of the embedding's, each sublayer's and the pooled features dropped while training."""

    @model_validator(mode="after")
    def heads_divide(self) -> Self:
        """Refuse heads of broken width, and an odd width, of which positions are sines and cosines."""
        if self.hidden_dim % self.num_heads or self.hidden_dim % 2:
            raise ValueError(f"hidden_dim must be even and a multiple of num_heads ({self.num_heads})")
        return self


class Discriminator(nn.Module):
    """One logit a text, positive means «real»; or one a class, where there are several."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        self.embedding = nn.Embedding(vocab_size, config.hidden_dim)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.verdict = nn.Linear(config.hidden_dim, num_classes)

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, or `(B,K)`, of ids `(B,T)` or soft rows `(B,T,V)`; PAD changes nothing."""
        return unwrapped(self.verdict(self.dropout(self.features(inputs, mask_BT))))

    def features(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,D)`."""
        embedded_BTD = embed(inputs, self.embedding.weight)
        x_BTD = self.dropout(embedded_BTD + positions(embedded_BTD))
        for layer in self.layers:
            x_BTD = layer(x_BTD, mask_BT)
        return average(self.norm(x_BTD), mask_BT)


class Layer(nn.Module):
    """Self-attention, then a perceptron, each added to what it read."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        dim = config.hidden_dim
        self.num_heads = config.num_heads
        self.attention_norm, self.perceptron_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value, self.output = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.perceptron = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        x_BTD = x_BTD + self.dropout(self.output(self.attend(self.attention_norm(x_BTD), mask_BT)))
        return x_BTD + self.dropout(self.perceptron(self.perceptron_norm(x_BTD)))

    def attend(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """What each token takes from the tokens of its text, PAD not being one."""
        parts = self.query_key_value(x_BTD).chunk(3, dim=-1)
        query_BNTD, key_BNTD, value_BNTD = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)
        seen_B11T = mask_BT[:, None, None, :]
        heads_BNTD = nn.functional.scaled_dot_product_attention(query_BNTD, key_BNTD, value_BNTD, attn_mask=seen_B11T)
        return heads_BNTD.transpose(1, 2).flatten(2)


def positions(like_BTD: Tensor) -> Tensor:
    """Sines and cosines `(T,D)` of ever longer waves (Vaswani et al. 2017, §3.5)."""
    _, length, dim = like_BTD.shape
    rate_H = torch.exp(torch.arange(0, dim, 2, device=like_BTD.device) * (-math.log(10_000) / dim))
    angle_TH = torch.arange(length, device=like_BTD.device).unsqueeze(1) * rate_H
    return torch.stack([angle_TH.sin(), angle_TH.cos()], dim=-1).flatten(1).to(like_BTD.dtype)
