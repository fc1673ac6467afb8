"""nanoGPT (karpathy/nanoGPT): its model, training step and sampler; sizes as its README gives them for a processor.

Follows `model.py` (GPT-2's architecture without biases, the output matrix being the embedding), `train.py` (windows
drawn at random from one long file of ids, AdamW without decay on vectors, gradients clipped to 1) and `sample.py`
(`generate`, which reads the whole text anew for each token; one text at a time there, any number here). By `train.py`'s
own options for a processor nothing is compiled.

Shapes: B texts, T tokens, D features, H heads, E features of a head, V vocabulary, N tokens of the file.
"""

from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH_SIZE, WINDOW = 12, 64
LEARNING_RATE, WEIGHT_DECAY, BETAS, CLIP_NORM = 1e-3, 0.1, (0.9, 0.99), 1.0


class Block(nn.Module):
    """Attention, then a feed-forward part four times as wide, each behind a norm and added to the stream."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.before_attention, self.before_mlp = nn.LayerNorm(dim, bias=False), nn.LayerNorm(dim, bias=False)
        self.queries_keys_values = nn.Linear(dim, 3 * dim, bias=False)
        self.attended = nn.Linear(dim, dim, bias=False)
        self.widened, self.narrowed = nn.Linear(dim, 4 * dim, bias=False), nn.Linear(4 * dim, dim, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        query_BHTE, keys_BHTE, values_BHTE = (
            each_BTD.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for each_BTD in self.queries_keys_values(self.before_attention(x_BTD)).split(x_BTD.shape[-1], dim=-1)
        )
        seen_BHTE = F.scaled_dot_product_attention(query_BHTE, keys_BHTE, values_BHTE, is_causal=True)
        x_BTD = x_BTD + self.attended(seen_BHTE.transpose(1, 2).contiguous().flatten(2))
        return x_BTD + self.narrowed(F.gelu(self.widened(self.before_mlp(x_BTD))))


class GPT(nn.Module):
    """4 layers of width 128, 4 heads; dropout 0, as its README has it on a processor."""

    def __init__(self, vocab_size: int, window: int = WINDOW, dim: int = 128, layers: int = 4, heads: int = 4) -> None:
        super().__init__()
        self.window = window
        self.tokens, self.places = nn.Embedding(vocab_size, dim), nn.Embedding(window, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim, bias=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """Features `(B,T,D)`."""
        x_BTD = self.tokens(tokens_BT) + self.places(torch.arange(tokens_BT.shape[1]))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.norm(x_BTD)

    def loss(self, tokens_BT: Tensor, next_BT: Tensor) -> Tensor:
        """Mean cross-entropy over all places."""
        logits_BTV = F.linear(self.hidden(tokens_BT), self.tokens.weight)
        return F.cross_entropy(logits_BTV.flatten(0, 1), next_BT.flatten())

    @torch.no_grad()
    def generate(self, tokens_BT: Tensor, num_new: int) -> Tensor:
        """Write on, reading all of the text that the window holds for every token."""
        for _ in range(num_new):
            hidden_BTD = self.hidden(tokens_BT[:, -self.window :])
            logits_BV = F.linear(hidden_BTD[:, [-1]], self.tokens.weight)[:, -1]
            drawn_B1 = torch.multinomial(F.softmax(logits_BV, dim=-1), num_samples=1)
            tokens_BT = torch.cat([tokens_BT, drawn_B1], dim=1)
        return tokens_BT


class Training:
    """Its loop: windows at random, a step on each."""

    def __init__(self, model: GPT, ids_N: np.ndarray, bfloat16: bool) -> None:
        self.model, self.ids_N = model, ids_N.astype(np.uint16)
        self.context = torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext()
        matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
        vectors = [parameter for parameter in model.parameters() if parameter.dim() < 2]
        groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS)
        self.batch = self._drawn()

    def _drawn(self) -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(self.ids_N) - self.model.window, (BATCH_SIZE,)).tolist()
        both = [
            [torch.from_numpy(self.ids_N[i + off : i + off + self.model.window].astype(np.int64)) for i in starts]
            for off in (0, 1)
        ]
        return torch.stack(both[0]), torch.stack(both[1])

    def step(self) -> int:
        """Learn from one batch; how many tokens it had."""
        with self.context:
            loss = self.model.loss(*self.batch)
        self.batch = self._drawn()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return BATCH_SIZE * self.model.window
