"""A recurrent language model, whatever its cell: what the `rnn`, `gru`, `lstm` and `vae` generators have in common.

Regularised as in Zaremba et al. 2014 (dropout on what is not recurrent), with the output matrix tied to the embedding
as in Press & Wolf 2017.

Shapes: B texts, T tokens, V vocabulary, D embedding, H hidden, L layers, G gates (H each), X extra.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.contracts import State
from gdcore.networks.layers import embed
from gdcore.settings import Settings

Cell = Callable[[Tensor, Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""`(from_input_BG, from_hidden_BG, a layer's state) → its new state`, tensors of `(B,H)`; the first is the output."""


class RecurrentConfig(Settings):
    """Settings of every recurrent generator."""

    embedding_dim: int = Field(default=128, ge=1)
    """Width of the token embedding, and of the projection before the softmax when `tied`."""
    hidden_dim: int = Field(default=256, ge=1)
    """Width of the recurrent state."""
    num_layers: int = Field(default=1, ge=1)
    """Recurrent layers on top of each other."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of the embedding's and of the output's features dropped while training."""
    tied: bool = True
    """Use the embedding matrix as the output matrix too: fewer parameters, and a better model on small corpora."""


class RecurrentModel(nn.Module):
    """Next-token model; `logits(tokens_BT)[:, t]` predicts the token at `t + 1`.

    `layers` is torch's layer, which reads whole texts; `cell` is one step of it in plain products, which is what the
    sampler and the exported graph repeat. A test holds the two together. Where `extra_dim` is not 0, every step reads
    so many features of the text beside the token's.
    """

    def __init__(
        self,
        config: Any,
        vocab_size: int,
        context: int,
        layers: type[nn.RNNBase],
        cell: Cell,
        num_states: int,
        extra_dim: int = 0,
    ) -> None:
        super().__init__()
        self.config, self.vocab_size, self.context = config, vocab_size, context
        self.cell, self.num_states = cell, num_states
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        between = config.dropout if config.num_layers > 1 else 0.0
        sizes = config.embedding_dim + extra_dim, config.hidden_dim, config.num_layers
        self.kind = layers.__name__.lower()  # the weights bear its name
        self.add_module(self.kind, cast(Any, layers)(*sizes, batch_first=True, dropout=between))
        self.dropout = nn.Dropout(config.dropout)
        output_dim = config.embedding_dim if config.tied else config.hidden_dim
        self.projection = nn.Linear(config.hidden_dim, output_dim) if config.tied else nn.Identity()
        self.output = nn.Linear(output_dim, vocab_size)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.output.weight, std=0.1)
        nn.init.zeros_(self.output.bias)
        for name, parameter in self.layers.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
        if config.tied:
            self.output.weight = self.embedding.weight

    @property
    def layers(self) -> nn.RNNBase:
        return getattr(self, self.kind)

    def hidden(self, tokens_BT: Tensor, extra_BX: Tensor | None = None) -> Tensor:
        """Features `(B,T,D)` from which `head` predicts each next token."""
        x_BTD = self.dropout(embed(tokens_BT, self.embedding.weight))
        if extra_BX is not None:
            x_BTD = torch.cat([x_BTD, extra_BX.unsqueeze(1).expand(-1, x_BTD.shape[1], -1).to(x_BTD.dtype)], dim=-1)
        hidden_BTH, _ = self.layers(x_BTD)
        return self.projection(self.dropout(hidden_BTH))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits `(…,V)` of features `(…,D)`; separate from `hidden`, so that a loss pays for real tokens only."""
        return self.output(hidden)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B,T,V)` of every next token."""
        return self.head(self.hidden(tokens_BT))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return self.logits(tokens_BT)

    def initial_state(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """The empty state, tensors of `(L,B,H)`."""
        shape = (self.config.num_layers, batch_size, self.config.hidden_dim)
        return tuple(torch.zeros(shape, device=device) for _ in range(self.num_states))

    def step(self, token_B: Tensor, state: State, extra_BX: Tensor | None = None) -> tuple[Tensor, State]:
        """Read one token a text, an id or a soft row `(B,V)`; returns `(logits_BV, state)`, without dropout."""
        x_BD, after = embed(token_B, self.embedding.weight), []
        if extra_BX is not None:
            x_BD = torch.cat([x_BD, extra_BX], dim=-1)
        for layer in range(self.config.num_layers):
            from_input_BG = nn.functional.linear(x_BD, *self._weights(layer, "ih"))
            from_hidden_BG = nn.functional.linear(state[0][layer], *self._weights(layer, "hh"))
            after.append(self.cell(from_input_BG, from_hidden_BG, tuple(tensor[layer] for tensor in state)))
            x_BD = after[-1][0]
        return self.head(self.projection(x_BD)), tuple(torch.stack(tensors) for tensors in zip(*after, strict=True))

    def _weights(self, layer: int, kind: str) -> tuple[Tensor, Tensor]:
        return getattr(self.layers, f"weight_{kind}_l{layer}"), getattr(self.layers, f"bias_{kind}_l{layer}")


def lstm(config: Any, vocab_size: int, context: int, extra_dim: int = 0) -> RecurrentModel:
    """A model of LSTM cells (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""
    model = RecurrentModel(config, vocab_size, context, nn.LSTM, lstm_cell, num_states=2, extra_dim=extra_dim)
    for name, parameter in model.layers.named_parameters():
        if name.startswith("bias_ih"):  # an open forget gate lets gradients through from the first step
            parameter.data[config.hidden_dim : 2 * config.hidden_dim] = 1.0
    return model


def lstm_cell(from_input_BG: Tensor, from_hidden_BG: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step of `nn.LSTM`; the state is `(hidden, cell)`."""
    input_BH, forget_BH, update_BH, output_BH = (from_input_BG + from_hidden_BG).chunk(4, dim=-1)
    cell_BH = torch.sigmoid(forget_BH) * state[1] + torch.sigmoid(input_BH) * torch.tanh(update_BH)
    return torch.sigmoid(output_BH) * torch.tanh(cell_BH), cell_BH
