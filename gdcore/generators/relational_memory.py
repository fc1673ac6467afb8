"""Relational memory: slots that attend to one another and to the token read, kept by gates. RelGAN's generator.

Santoro et al. 2018 (arXiv 1806.01822), eq. 2 to 8; as a text GAN's generator Nie et al. 2019 (RelGAN), §3.1, with one
slot. A token is read at a time, in training too. Departures: the output matrix is the embedding (Press & Wolf 2017);
the feed-forward part has one hidden layer.

Shapes: B texts, T tokens, V vocabulary, D features, S slots, H heads, E features of a head, M = H·E features of a slot.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.contracts import State
from gdcore.networks.layers import embed
from gdcore.settings import Settings


class Config(Settings):
    name: Literal["relational_memory"] = "relational_memory"
    embedding_dim: int = Field(default=128, ge=1)
    """Width of the token embedding, and of the projection before the softmax."""
    num_slots: int = Field(default=1, ge=1)
    """Memory slots."""
    num_heads: int = Field(default=2, ge=1)
    """Attention heads."""
    head_dim: int = Field(default=128, ge=1)
    """Features of a head; a slot has this times the heads."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of the embedding's and of the output's features dropped while training."""


class Generator(nn.Module):
    """Next-token model; `logits(tokens_BT)[:, t]` predicts the token at `t + 1`."""

    def __init__(self, config: Config, vocab_size: int, context: int) -> None:
        super().__init__()
        self.config, self.vocab_size, self.context = config, vocab_size, context
        slot_dim = config.num_heads * config.head_dim
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        self.input = nn.Linear(config.embedding_dim, slot_dim)
        self.queries = nn.Linear(slot_dim, slot_dim)
        self.keys_values = nn.Linear(slot_dim, 2 * slot_dim)
        self.after_attention = nn.LayerNorm(slot_dim)
        self.mlp = nn.Sequential(nn.Linear(slot_dim, slot_dim), nn.ReLU(), nn.Linear(slot_dim, slot_dim))
        self.after_mlp = nn.LayerNorm(slot_dim)
        self.gates_of_input = nn.Linear(slot_dim, 2 * slot_dim)
        self.gates_of_memory = nn.Linear(slot_dim, 2 * slot_dim, bias=False)
        self.dropout = nn.Dropout(config.dropout)
        self.projection = nn.Linear(config.num_slots * slot_dim, config.embedding_dim)
        self.output_bias = nn.Parameter(torch.zeros(vocab_size))
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.gates_of_input.bias)
        self.gates_of_input.bias.data[slot_dim:] = 1.0  # forget little at first

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """Features `(B,T,D)` from which `head` predicts each next token."""
        read_BTM = self.input(self.dropout(embed(tokens_BT, self.embedding.weight)))
        (memory_SBM,) = self.initial_state(read_BTM.shape[0], read_BTM.device)
        memories: list[Tensor] = []
        for read_BM in read_BTM.unbind(dim=1):
            memory_SBM = self._remember(read_BM, memory_SBM)
            memories.append(memory_SBM)
        return self._features(torch.stack(memories, dim=2))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits `(…,V)` of features `(…,D)`; separate from `hidden`, so that a loss pays for real tokens only."""
        return nn.functional.linear(hidden, self.embedding.weight, self.output_bias)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B,T,V)` of every next token."""
        return self.head(self.hidden(tokens_BT))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return self.logits(tokens_BT)

    def initial_state(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """The memory `(S,B,M)`: each slot a different unit vector."""
        slots_SM = torch.eye(self.config.num_slots, self.config.num_heads * self.config.head_dim, device=device)
        return (slots_SM.unsqueeze(1).repeat(1, batch_size, 1),)

    def step(self, token_B: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a text, an id or a soft row `(B,V)`; returns `(logits_BV, state)`, as `logits` does."""
        memory_SBM = self._remember(self.input(embed(token_B, self.embedding.weight)), state[0])
        return self.head(self._features(memory_SBM)), (memory_SBM,)

    def _features(self, memory: Tensor) -> Tensor:
        """Features `(…,D)` of memories `(S,…,M)`, their slots side by side."""
        return self.projection(self.dropout(memory.movedim(0, -2).flatten(-2)))

    def _remember(self, read_BM: Tensor, memory_SBM: Tensor) -> Tensor:
        """The memory after one token: what the slots make of each other and of it, let in and kept by gates."""
        seen_SBM = self.after_attention(memory_SBM + self._attend(read_BM, memory_SBM))
        seen_SBM = self.after_mlp(seen_SBM + self.mlp(seen_SBM))
        gates_SBG = self.gates_of_input(read_BM) + self.gates_of_memory(torch.tanh(memory_SBM))
        let_in_SBM, keep_SBM = torch.sigmoid(gates_SBG).chunk(2, dim=-1)
        return let_in_SBM * torch.tanh(seen_SBM) + keep_SBM * memory_SBM

    def _attend(self, read_BM: Tensor, memory_SBM: Tensor) -> Tensor:
        """What each slot `(S,B,M)` takes from the slots and the token, head by head."""
        sources_LBM = torch.cat([memory_SBM, read_BM.unsqueeze(0)])
        keys_LBM, values_LBM = self.keys_values(sources_LBM).chunk(2, dim=-1)
        query_BHSE, keys_BHLE, values_BHLE = (
            each.unflatten(-1, (self.config.num_heads, -1)).permute(1, 2, 0, 3)
            for each in (self.queries(memory_SBM), keys_LBM, values_LBM)
        )
        share_BHSL = torch.softmax(query_BHSE @ keys_BHLE.transpose(2, 3) * self.config.head_dim**-0.5, dim=-1)
        return (share_BHSL @ values_BHLE).permute(2, 0, 1, 3).flatten(2)
