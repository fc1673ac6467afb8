"""TextGAN-PyTorch (williamSYSU), its LSTM: training, sampling, Monte-Carlo rewards; sizes as its COCO runs have them.

Follows `models/generator.py`, `instructor/real_data/instructor.py`, `utils/rollout.py`, `models/discriminator.py` and
`run/run_seqgan.py`: every text padded to the longest, the loss taken over padding too, every text sampled to its
longest, every prefix of every rollout completed on its own, from its first token on.

Shapes: B texts, T tokens, V vocabulary.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

START, PADDING = 1, 0
BATCH_SIZE, LEARNING_RATE, CLIP_NORM = 64, 1e-2, 5.0
State = tuple[Tensor, Tensor]


class Generator(nn.Module):
    """Embedding 32, LSTM 32, log-softmax over the vocabulary."""

    def __init__(self, vocab_size: int, longest: int, dim: int = 32) -> None:
        super().__init__()
        self.vocab_size, self.longest, self.dim = vocab_size, longest, dim
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=PADDING)
        self.lstm = nn.LSTM(dim, dim, batch_first=True)
        self.project = nn.Linear(dim, vocab_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.05, 0.05)

    def blank(self, num: int) -> State:
        return torch.zeros(1, num, self.dim), torch.zeros(1, num, self.dim)

    def forward(self, tokens_BT: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities `(B·T,V)`, and the state."""
        hidden_BTD, state = self.lstm(self.embedding(tokens_BT), state)
        logits_RV = self.project(hidden_BTD.reshape(-1, self.dim))
        return F.log_softmax(logits_RV, dim=-1), state

    @torch.no_grad()
    def sample(self, num: int) -> Tensor:
        """Texts `(num,T)`, each to its longest."""
        tokens_BT = torch.zeros(num, self.longest, dtype=torch.long)
        last_B, state = torch.full((num,), START), self.blank(num)
        for t in range(self.longest):
            logprobs_BV, state = self(last_B.unsqueeze(1), state)
            last_B = torch.multinomial(logprobs_BV.exp(), 1).view(-1)
            tokens_BT[:, t] = last_B
        return tokens_BT


def training(model: Generator, texts_NT: Tensor) -> "Training":
    """Its loop of maximum likelihood over these padded texts."""
    inputs_NT = torch.cat([torch.full((len(texts_NT), 1), START), texts_NT[:, :-1]], dim=1)
    loader = DataLoader(TensorDataset(inputs_NT, texts_NT), batch_size=BATCH_SIZE, shuffle=True, drop_last=True)
    return Training(model, loader)


class Training:
    """Batches for ever, and one step on each."""

    def __init__(self, model: Generator, loader: "DataLoader[tuple[Tensor, ...]]") -> None:
        self.model, self.loader, self.batches = model, loader, iter(loader)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

    def step(self) -> int:
        """Learn from one batch; how many real tokens it had, each text's end counted."""
        batch = next(self.batches, None)
        if batch is None:
            self.batches = iter(self.loader)
            batch = next(self.batches)
        inputs_BT, targets_BT = batch
        logprobs_RV, _ = self.model(inputs_BT, self.model.blank(len(inputs_BT)))
        loss = F.nll_loss(logprobs_RV, targets_BT.reshape(-1))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        loss.item()
        return int((targets_BT != PADDING).sum()) + len(targets_BT)


class Discriminator(nn.Module):
    """Embedding 64; 300 filters each of widths 2 to 5; highway; two logits."""

    def __init__(self, vocab_size: int, dim: int = 64, num_filters: int = 300) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=PADDING)
        self.convolutions = nn.ModuleList(nn.Conv2d(1, num_filters, (width, dim)) for width in (2, 3, 4, 5))
        self.highway = nn.Linear(4 * num_filters, 4 * num_filters)
        self.dropout = nn.Dropout(0.25)
        self.verdict = nn.Linear(4 * num_filters, 2)

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B,2)`."""
        embedded_B1TD = self.embedding(tokens_BT).unsqueeze(1)
        found = [F.relu(convolution(embedded_B1TD)).squeeze(3).amax(dim=2) for convolution in self.convolutions]
        features_BC = torch.cat(found, dim=1)
        carried_BC = self.highway(features_BC)
        gate_BC = torch.sigmoid(carried_BC)
        return self.verdict(self.dropout(gate_BC * F.relu(carried_BC) + (1 - gate_BC) * features_BC))


@torch.no_grad()
def rewards(generator: Generator, discriminator: Discriminator, tokens_BT: Tensor, rollouts: int) -> Tensor:
    """Verdicts `(rollouts·T,B)` on every prefix completed anew. (Its caller then views them as `(B,T,rollouts)`, which
    hands them to the wrong texts; that costs no time.)"""
    rows: list[Tensor] = []
    for _ in range(rollouts):
        for given in range(1, generator.longest + 1):
            texts_BT = _completed(generator, tokens_BT, given)
            rows.append(F.softmax(discriminator(texts_BT), dim=-1)[:, 1])
    return torch.stack(rows)


def _completed(generator: Generator, tokens_BT: Tensor, given: int) -> Tensor:
    num = len(tokens_BT)
    logprobs_RV, state = generator(tokens_BT[:, :given], generator.blank(num))
    logprobs_BV = logprobs_RV.view(num, given, -1)[:, -1]
    texts_BT = torch.zeros_like(tokens_BT)
    texts_BT[:, :given] = tokens_BT[:, :given]
    for t in range(given, generator.longest):
        last_B = torch.multinomial(logprobs_BV.exp(), 1).view(-1)
        texts_BT[:, t] = last_B
        logprobs_BV, state = generator(last_B.unsqueeze(1), state)
    return texts_BT
