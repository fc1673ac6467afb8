"""TextGAN-PyTorch (williamSYSU), its RelGAN: the generator's step against the discriminator; sizes as its runs have.

Follows `models/RelGAN_G.py`, `models/relational_rnn_general.py` (one slot, 2 heads of 256), `models/RelGAN_D.py` (64
views of width 1, 300 filters each of widths 2 to 5), `instructor/real_data/relgan_instructor.py` and
`run/run_relgan.py`: every text sampled to the longest, real texts as one-hot rows of the whole vocabulary.

Shapes: B texts, T tokens, V vocabulary, M features of a slot, N = slot and token read, H heads, W views, C channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

START = 1
CLIP_NORM, LEARNING_RATE = 5.0, 1e-4
EPSILON = 1e-10


class Memory(nn.Module):
    """One slot that attends to itself and to the token read, and is kept by gates."""

    def __init__(self, input_dim: int, heads: int = 2, head_dim: int = 256) -> None:
        super().__init__()
        dim = heads * head_dim
        self.heads, self.head_dim = heads, head_dim
        self.input = nn.Linear(input_dim, dim)
        self.queries_keys_values, self.norm = nn.Linear(dim, 3 * dim), nn.LayerNorm([2, 3 * dim])
        self.mlp = nn.Linear(dim, dim)  # twice the same layer, as there
        self.after_attention, self.after_mlp = nn.LayerNorm([2, dim]), nn.LayerNorm([2, dim])
        self.gates_of_input, self.gates_of_memory = nn.Linear(dim, 2 * dim), nn.Linear(dim, 2 * dim)
        self.forget_bias, self.input_bias = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, embedded_BD: Tensor, memory_B1M: Tensor) -> Tensor:
        read_B1M = self.input(embedded_BD).unsqueeze(1)
        both_BNM = torch.cat([memory_B1M, read_B1M], dim=1)
        each = self.norm(self.queries_keys_values(both_BNM)).unflatten(-1, (self.heads, -1)).permute(0, 2, 1, 3)
        query, keys, values = each.split(self.head_dim, dim=-1)
        shares = F.softmax(query * self.head_dim**-0.5 @ keys.transpose(2, 3), dim=-1)
        seen_BNM = self.after_attention(both_BNM + (shares @ values).permute(0, 2, 1, 3).contiguous().flatten(2))
        seen_BNM = self.after_mlp(seen_BNM + F.relu(self.mlp(F.relu(self.mlp(seen_BNM)))))
        gates_B1G = self.gates_of_memory(torch.tanh(memory_B1M)) + self.gates_of_input(read_B1M[:, 0]).unsqueeze(1)
        let_in, keep = gates_B1G.chunk(2, dim=-1)
        let_in, keep = torch.sigmoid(let_in + self.input_bias), torch.sigmoid(keep + self.forget_bias)
        return let_in * torch.tanh(seen_BNM[:, :-1]) + keep * memory_B1M


class Generator(nn.Module):
    """Embedding 32, memory 512, an output matrix of its own."""

    def __init__(self, vocab_size: int, longest: int, dim: int = 32) -> None:
        super().__init__()
        self.vocab_size, self.longest = vocab_size, longest
        self.embedding, self.memory = nn.Embedding(vocab_size, dim), Memory(dim)
        self.slot_dim = self.memory.heads * self.memory.head_dim
        self.output = nn.Linear(self.slot_dim, vocab_size)

    def sample_soft(self, num: int, inverse_temperature: float) -> Tensor:
        """Rows `(B,T,V)`, each written into one table, with gradients; the next step reads the token drawn."""
        rows_BTV = torch.zeros(num, self.longest, self.vocab_size)
        memory_B1M = torch.zeros(num, 1, self.slot_dim)
        memory_B1M[:, :, 0] = 1
        token_B = torch.full((num,), START)
        for t in range(self.longest):
            memory_B1M = self.memory(self.embedding(token_B), memory_B1M.detach())
            logits_BV = self.output(memory_B1M.squeeze(1))
            noise_BV = -torch.log(-torch.log(torch.rand_like(logits_BV) + EPSILON) + EPSILON)
            noisy_BV = logits_BV + noise_BV
            token_B = noisy_BV.argmax(dim=1).detach()
            F.one_hot(token_B, self.vocab_size).float()  # made there, and not used
            rows_BTV[:, t] = F.softmax(noisy_BV * inverse_temperature, dim=-1)
        return rows_BTV


class Discriminator(nn.Module):
    """64 views of a text, each one number a token; one convolutional network for all."""

    def __init__(self, vocab_size: int, views: int = 64, num_filters: int = 300) -> None:
        super().__init__()
        self.embedding = nn.Linear(vocab_size, views, bias=False)
        self.convolutions = nn.ModuleList(nn.Conv2d(1, num_filters, (width, 1)) for width in (2, 3, 4, 5))
        self.features = 4 * num_filters
        self.highway, self.dropout = nn.Linear(self.features, self.features), nn.Dropout(0.2)
        self.hidden, self.verdict = nn.Linear(self.features, 100), nn.Linear(100, 1)

    def forward(self, rows_BTV: Tensor) -> Tensor:
        """Logits `(B·W,)`."""
        embedded_B1TW = self.embedding(rows_BTV).unsqueeze(1)
        answers = [F.relu(convolution(embedded_B1TW)) for convolution in self.convolutions]
        pooled = [F.max_pool2d(answer, (answer.size(2), 1)).squeeze(2) for answer in answers]
        features_RC = torch.cat(pooled, dim=1).permute(0, 2, 1).contiguous().view(-1, self.features)
        carried_RC = self.highway(features_RC)
        gate_RC = torch.sigmoid(carried_RC)
        features_RC = gate_RC * F.relu(carried_RC) + (1 - torch.sigmoid(carried_RC)) * features_RC
        return self.verdict(self.hidden(self.dropout(features_RC))).squeeze(1)


class Adversarial:
    """The generator's step: fresh texts beside real ones, the relativistic loss of every view."""

    def __init__(self, generator: Generator, discriminator: Discriminator, texts_NT: Tensor, batch_size: int) -> None:
        self.players, self.texts_NT, self.batch_size = (generator, discriminator), texts_NT, batch_size
        self.optimizer = torch.optim.Adam(generator.parameters(), lr=LEARNING_RATE)

    def step(self, inverse_temperature: float) -> int:
        """Texts that it learnt from."""
        generator, discriminator = self.players
        chosen = torch.randint(len(self.texts_NT), (self.batch_size,))
        rows_BTV = generator.sample_soft(self.batch_size, inverse_temperature)
        real_BTV = F.one_hot(self.texts_NT[chosen], generator.vocab_size).float()
        real_R, fake_R = discriminator(real_BTV), discriminator(rows_BTV)
        loss = F.binary_cross_entropy_with_logits(fake_R - real_R, torch.ones_like(fake_R))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), CLIP_NORM)
        self.optimizer.step()
        return self.batch_size
