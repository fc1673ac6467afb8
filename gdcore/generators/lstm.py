"""LSTM language model: embedding → stacked LSTM → projection → softmax over the vocabulary.

Hochreiter & Schmidhuber 1997; regularised as in Zaremba et al. 2014 (dropout on what is not recurrent), with the output
matrix tied to the embedding as in Press & Wolf 2017.

Shapes: B texts, T tokens, V vocabulary, D embedding, H hidden, L layers.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.settings import Settings

State = tuple[Tensor, Tensor]


class Config(Settings):
    name: Literal["lstm"] = "lstm"
    embedding_dim: int = Field(default=128, ge=1)
    """Width of the token embedding, and of the projection before the softmax when `tied`."""
    hidden_dim: int = Field(default=256, ge=1)
    """Width of the recurrent state."""
    num_layers: int = Field(default=1, ge=1)
    """LSTM layers on top of each other."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of the embedding's and of the output's features dropped while training."""
    tied: bool = True
    """Use the embedding matrix as the output matrix too: fewer parameters, and a better model on small corpora."""


class Generator(nn.Module):
    """Next-token model; `logits(tokens_BT)[:, t]` predicts the token at `t + 1`."""

    def __init__(self, config: Config, vocab_size: int, context: int) -> None:
        super().__init__()
        self.config, self.vocab_size, self.context = config, vocab_size, context
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        between = config.dropout if config.num_layers > 1 else 0.0
        self.lstm = nn.LSTM(
            config.embedding_dim, config.hidden_dim, config.num_layers, batch_first=True, dropout=between
        )
        self.dropout = nn.Dropout(config.dropout)
        output_dim = config.embedding_dim if config.tied else config.hidden_dim
        self.projection = nn.Linear(config.hidden_dim, output_dim) if config.tied else nn.Identity()
        self.output = nn.Linear(output_dim, vocab_size)
        self.reset_parameters()
        if config.tied:
            self.output.weight = self.embedding.weight

    def reset_parameters(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.output.weight, std=0.1)
        nn.init.zeros_(self.output.bias)
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_ih"):  # an open forget gate lets gradients through from the first step
                nn.init.zeros_(parameter)
                parameter.data[self.config.hidden_dim : 2 * self.config.hidden_dim] = 1.0
            elif name.startswith("bias_hh"):
                nn.init.zeros_(parameter)

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """Features `(B,T,D)` from which `head` predicts each next token."""
        hidden_BTH, _ = self.lstm(self.dropout(self.embedding(tokens_BT)))
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
        """The empty state `(hidden_LBH, cell_LBH)`; texts lie on axis 1 of every tensor of a state."""
        shape = (self.config.num_layers, batch_size, self.config.hidden_dim)
        return torch.zeros(shape, device=device), torch.zeros(shape, device=device)

    def step(self, token_B: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a text; returns `(logits_BV, state)`. Equals `logits` step by step (no dropout).

        Written with plain products rather than `nn.LSTM`: it is what the exported graph repeats.
        """
        hidden_LBH, cell_LBH = state
        x_B, hidden, cell = self.embedding(token_B), [], []
        for layer in range(self.config.num_layers):
            gates_BG = nn.functional.linear(x_B, *self._weights(layer, "ih")) + nn.functional.linear(
                hidden_LBH[layer], *self._weights(layer, "hh")
            )
            input_BH, forget_BH, update_BH, output_BH = gates_BG.chunk(4, dim=-1)
            cell_BH = torch.sigmoid(forget_BH) * cell_LBH[layer] + torch.sigmoid(input_BH) * torch.tanh(update_BH)
            x_B = torch.sigmoid(output_BH) * torch.tanh(cell_BH)
            hidden.append(x_B)
            cell.append(cell_BH)
        return self.head(self.projection(x_B)), (torch.stack(hidden), torch.stack(cell))

    def _weights(self, layer: int, kind: str) -> tuple[Tensor, Tensor]:
        return getattr(self.lstm, f"weight_{kind}_l{layer}"), getattr(self.lstm, f"bias_{kind}_l{layer}")
