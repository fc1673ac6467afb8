"""CRF discriminator: a label, real or fake, for every token; a text is real if all of its tokens are.

A bidirectional LSTM whose outputs are the emissions of a linear-chain conditional random field (Lafferty, McCallum &
Pereira 2001; Huang, Xu & Yu 2015). Trained on texts of which spans were replaced
(`gdcore.adversarial.corruption`) it says where a text goes wrong; trained as any discriminator, by its verdict alone,
it finds out by itself.

Of K classes the labels are the classes, and a text's class is the one that all of its tokens bear: the logits are the
scores of the K constant labellings, so that their softmax is P(class | all tokens agree).

Shapes: B texts, T tokens, V vocabulary, S labels, K classes.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.networks import chains
from gdcore.networks.layers import BidirectionalLSTM, embed
from gdcore.settings import Settings

FAKE, REAL = 0, 1
Span = tuple[int, int, float]
"""First token, the token after the last, and the probability that all of them are fake."""


class Config(Settings):
    name: Literal["crf"] = "crf"
    embedding_dim: int = Field(default=64, ge=1)
    """Width of the token embedding."""
    hidden_dim: int = Field(default=64, ge=1)
    """Width of the recurrent state, of each direction."""
    num_layers: int = Field(default=1, ge=1)
    """Bidirectional layers on top of each other."""
    dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of the embedding's and of the output's features dropped while training."""


class Discriminator(nn.Module):
    """One logit a text, that of P(all tokens real); or one a class, where there are several."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size, self.num_classes = config, vocab_size, num_classes
        num_labels = max(num_classes, 2)
        self.embedding = nn.Embedding(vocab_size, config.embedding_dim)
        self.lstm = BidirectionalLSTM(config.embedding_dim, config.hidden_dim, config.num_layers)
        self.dropout = nn.Dropout(config.dropout)
        self.emission = nn.Linear(2 * config.hidden_dim, num_labels)
        self.transitions = nn.Parameter(torch.zeros(num_labels, num_labels))
        """From the row's label to the column's."""

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, or `(B,K)`, of ids `(B,T)` or soft rows `(B,T,V)`; PAD changes nothing."""
        emissions_BTS = self.emissions(inputs, mask_BT)
        if self.num_classes == 1:
            return chains.log_odds_of_constant(emissions_BTS, self.transitions, REAL, mask_BT)
        changes_B1 = mask_BT.sum(dim=1, keepdim=True) - 1
        return (emissions_BTS * mask_BT.unsqueeze(-1)).sum(dim=1) + changes_B1 * self.transitions.diagonal()

    def emissions(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """What each token by itself says for each label `(B,T,S)`."""
        hidden_BTH = self.lstm(self.dropout(embed(inputs, self.embedding.weight)), mask_BT)
        return self.emission(self.dropout(hidden_BTH)).float()

    def loss(self, inputs: Tensor, labels_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """−log P(labels | text), in nats per token; 0 is fake, 1 is real."""
        emissions_BTS = self.emissions(inputs, mask_BT)
        likelihood_B = chains.score(emissions_BTS, self.transitions, labels_BT, mask_BT)
        return (chains.log_partition(emissions_BTS, self.transitions, mask_BT) - likelihood_B).sum() / mask_BT.sum()

    def marginals(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """The probability `(B,T)` that each token is real; 0 on PAD."""
        emissions_BTS = self.emissions(inputs, mask_BT)
        return chains.marginals(emissions_BTS, self.transitions, mask_BT)[..., REAL] * mask_BT

    @torch.no_grad()
    def spans(self, inputs: Tensor, mask_BT: Tensor) -> list[list[Span]]:
        """For each text the runs of fake tokens in its likeliest labelling, without dropout."""
        training = self.training
        self.eval()
        emissions_BTS = self.emissions(inputs, mask_BT)
        self.train(training)
        fake_BT = (chains.likeliest(emissions_BTS, self.transitions, mask_BT) == FAKE) & mask_BT
        edges_BT = nn.functional.pad(fake_BT.int(), (1, 1)).diff(dim=1)
        starts, ends = (edges_BT == 1).nonzero().tolist(), (edges_BT == -1).nonzero().tolist()
        runs = [(b, start, end) for (b, start), (_, end) in zip(starts, ends, strict=True)]
        sure = chains.run_probabilities(emissions_BTS, self.transitions, mask_BT, FAKE, runs)
        found: list[list[Span]] = [[] for _ in fake_BT]
        for (b, start, end), probability in zip(runs, sure, strict=True):
            found[b].append((start, end, probability))
        return found
