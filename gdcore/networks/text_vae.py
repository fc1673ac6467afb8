"""Text VAE: an LSTM that writes from a latent vector as well as token by token; an encoder reads it off a text.

What the `vae` and `latent_gan` generators have in common.

Bowman et al. 2016 (arXiv 1511.06349): the text is written from z ~ N(0, I); training maximises the evidence's lower
bound E_q log p(x|z) − β·KL(q(z|x) ‖ N(0, I)), with β rising from 0 (annealing) and words of the decoder's input
dropped, so that z is worth using. Free bits (Kingma et al. 2016): the divergence of a latent variable costs nothing up
to a stated size. Departure: z is read at every step rather than made into the decoder's first state.

Shapes: B texts, T tokens, V vocabulary, D features, H hidden, Z latent variables.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore import ranks
from gdcore.batches import Batch
from gdcore.contracts import Loss, State
from gdcore.likelihood import conditional_logprobs
from gdcore.networks import latent, recurrent
from gdcore.networks.recurrent import RecurrentConfig
from gdcore.tokenizer import UNK


class TextVAEConfig(RecurrentConfig):
    """Settings of every generator with a text VAE in it."""

    latent_dim: int = Field(default=32, ge=1)
    """Latent variables a text."""
    encoder_dim: int = Field(default=256, ge=1)
    """Width of the encoder's recurrent state."""
    beta: float = Field(default=1.0, ge=0)
    """Weight of the divergence in the loss, once it has risen; 1 is the bound itself."""
    annealing_steps: int = Field(default=1000, ge=0)
    """Steps of pretraining over which that weight rises from 0."""
    free_bits: float = Field(default=0.1, ge=0)
    """Nats up to which a latent variable's divergence, averaged over a batch, costs nothing."""
    word_dropout: float = Field(default=0.25, ge=0, lt=1)
    """Share of the words that the decoder reads as unknown while training, so that it must look at what z says."""


class TextVAE(nn.Module):
    """Next-token model given the text's noise z; without it, given z = 0.

    `logits(tokens_BT)[:, t]` predicts the token at `t + 1`.
    """

    def __init__(self, config: TextVAEConfig, vocab_size: int, context: int) -> None:
        super().__init__()
        self.config, self.vocab_size, self.context = config, vocab_size, context
        self.noise_dim = config.latent_dim
        self.decoder = recurrent.lstm(config, vocab_size, context, extra_dim=config.latent_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.GRU(config.embedding_dim, config.encoder_dim, batch_first=True)
        self.mean = nn.Linear(config.encoder_dim, config.latent_dim)
        self.log_variance = nn.Linear(config.encoder_dim, config.latent_dim)

    def hidden(self, tokens_BT: Tensor, noise_BZ: Tensor | None = None) -> Tensor:
        """Features `(B,T,D)` from which `head` predicts each next token."""
        if self.training and self.config.word_dropout and not tokens_BT.is_floating_point():
            dropped_BT = torch.rand(tokens_BT.shape, device=tokens_BT.device) < self.config.word_dropout
            dropped_BT[:, 0] = False  # BOS is no word
            tokens_BT = tokens_BT.masked_fill(dropped_BT, UNK)
        noise_BZ = self._zeros(len(tokens_BT), tokens_BT.device) if noise_BZ is None else noise_BZ
        return self.decoder.hidden(tokens_BT, noise_BZ)

    def head(self, hidden: Tensor) -> Tensor:
        """Logits `(…,V)` of features `(…,D)`; separate from `hidden`, so that a loss pays for real tokens only."""
        return self.decoder.head(hidden)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B,T,V)` of every next token."""
        return self.head(self.hidden(tokens_BT))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return self.logits(tokens_BT)

    def initial_state(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """The decoder's empty state, then the noise `(1,B,Z)`, here 0."""
        return *self.decoder.initial_state(batch_size, device), self._zeros(batch_size, device).unsqueeze(0)

    def step(self, token_B: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a text, an id or a soft row `(B,V)`; returns `(logits_BV, state)`, without dropout."""
        *memory, noise_1BZ = state
        logits_BV, after = self.decoder.step(token_B, tuple(memory), noise_1BZ[0])
        return logits_BV, (*after, noise_1BZ)

    def posterior(self, tokens_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, both `(B,Z)`, of q(z|x): what the encoder makes of the whole text."""
        read_BTH, _ = self.encoder(self.dropout(self.decoder.embedding(tokens_BT)))
        last_B = mask_BT.sum(dim=1).clamp(min=1) - 1
        last_B1H = last_B[:, None, None].expand(-1, -1, self.config.encoder_dim)
        read_BH = read_BTH.gather(1, last_B1H).squeeze(1)
        return self.mean(read_BH), self.log_variance(read_BH)

    def pretraining_loss(self, batch: Batch, step: int) -> Loss:
        """Per token, less than the negative bound by what annealing and free bits forgive; logs the bound itself."""
        noise_BZ, divergence_BZ = latent.inferred(self, batch)
        reconstruction = -conditional_logprobs(self, batch, noise_BZ).sum()
        num_tokens = ranks.average(batch.target_BT.sum())
        divergence_Z = divergence_BZ.mean(dim=0)
        beta = self.config.beta * min(1.0, (step + 1) / max(1, self.config.annealing_steps))
        charged = beta * divergence_Z.clamp(min=self.config.free_bits).sum() * len(batch)
        bound = reconstruction + divergence_BZ.sum()
        logs = {"nll": bound / num_tokens, "kl": divergence_Z.sum(), "reconstruction": reconstruction / num_tokens}
        return (reconstruction + charged) / num_tokens, {name: value.detach() for name, value in logs.items()}

    def _zeros(self, batch_size: int, device: torch.device | str) -> Tensor:
        return torch.zeros(batch_size, self.noise_dim, device=device)
