"""Latent GAN's generator: a text VAE whose code is not the noise itself but what an invertible map makes of it.

A GAN needs a differentiable way from noise to what is judged, which text is not; a code is. In the latent space of a
pretrained text VAE a map g : N(0, I) → codes learns to hit the codes of real texts (objective `latent_gan`), where the
VAE alone takes N(0, I) itself for them. The map is one of affine couplings (`gdcore.networks.couplings`), the identity
at first: pretraining is the VAE's, which does not look at the map, and after it the generator *is* the VAE. Being
invertible it leaves the bound on a text's likelihood well defined:
log p(x) ≥ E_q[log p(x|c) + log p_g(c) − log q(c|x)], p_g by change of variables.

β is lower than the VAE's by default: codes then say more of their texts, and lie less like N(0, I), which is what the
map is there to mend (as in two-stage VAEs, Dai & Wipf 2019, arXiv 1903.05789). At sampling the noise is N(0, I) still.

Shapes: B texts, T tokens, D features, Z latent variables.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.batches import Batch
from gdcore.contracts import Loss, State
from gdcore.networks.couplings import Couplings
from gdcore.networks.text_vae import TextVAE, TextVAEConfig


class Config(TextVAEConfig):
    name: Literal["latent_gan"] = "latent_gan"
    beta: float = Field(default=0.5, ge=0)
    """Weight of the divergence in pretraining's loss, once it has risen; 1 is the bound itself."""
    map_layers: int = Field(default=4, ge=2)
    """Couplings that make a code of the noise."""
    map_dim: int = Field(default=128, ge=1)
    """Width inside each."""


class Generator(nn.Module):
    """A text VAE behind a map of its noise; `logits(tokens_BT)[:, t]` predicts the token at `t + 1`."""

    def __init__(self, config: Config, vocab_size: int, context: int) -> None:
        super().__init__()
        self.config, self.vocab_size, self.context = config, vocab_size, context
        self.noise_dim = config.latent_dim
        self.vae = TextVAE(config, vocab_size, context)
        self.map = Couplings(config.latent_dim, config.map_dim, config.map_layers)

    def codes(self, noise_BZ: Tensor) -> Tensor:
        """What the VAE's decoder reads `(B,Z)`."""
        return self.map(noise_BZ)

    def noise_of(self, codes_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """The noise that these codes are made of, and by variable log of how much the map stretches; both `(B,Z)`."""
        return self.map.inverse(codes_BZ)

    def hidden(self, tokens_BT: Tensor, noise_BZ: Tensor | None = None) -> Tensor:
        """Features `(B,T,D)` from which `head` predicts each next token."""
        if noise_BZ is None:
            noise_BZ = torch.zeros(len(tokens_BT), self.noise_dim, device=tokens_BT.device)
        return self.vae.hidden(tokens_BT, self.codes(noise_BZ))

    def head(self, hidden: Tensor) -> Tensor:
        """Logits `(…,V)` of features `(…,D)`."""
        return self.vae.head(hidden)

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B,T,V)` of every next token."""
        return self.head(self.hidden(tokens_BT))

    def forward(self, tokens_BT: Tensor) -> Tensor:
        return self.logits(tokens_BT)

    def initial_state(self, batch_size: int, device: torch.device | str = "cpu") -> State:
        """The decoder's empty state, then the noise `(1,B,Z)`, here 0."""
        return self.vae.initial_state(batch_size, device)

    def step(self, token_B: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token a text, an id or a soft row `(B,V)`; returns `(logits_BV, state)`, without dropout."""
        *memory, noise_1BZ = state
        logits_BV, after = self.vae.step(token_B, (*memory, self.codes(noise_1BZ[0]).unsqueeze(0)))
        return logits_BV, (*after[:-1], noise_1BZ)

    def posterior(self, tokens_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, both `(B,Z)`, of the code that a text may have been written from."""
        return self.vae.posterior(tokens_BT, mask_BT)

    def pretraining_loss(self, batch: Batch, step: int) -> Loss:
        """The VAE's own, past the map, which so stays what it is."""
        return self.vae.pretraining_loss(batch, step)
