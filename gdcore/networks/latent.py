"""Generators with latent variables: whence the noise of a text comes, and what is not known about real text.

A text that was generated has its noise with it (`Batch.noise_BZ`), and its likelihood is that given the noise. A real
text has none; there the likelihood is bounded from below by way of the encoder's posterior q(z|x):
log p(x) ≥ E_q log p(x|z) − KL(q ‖ N(0, I)) (Kingma & Welling 2014), or closer, with K draws,
log p(x) ≥ E log 1/K Σ_k p(x|z_k)·p(z_k)/q(z_k|x) (Burda et al. 2016).

Most generators read the noise as it is. One may read a code that an invertible map makes of it
(`gdcore.contracts.MappedGenerator`); then what the encoder tells of is the code, and its density follows from the
noise's by change of variables.

Shapes: B texts, T tokens, D features, Z latent variables, S draws.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor

from gdcore.batches import Batch
from gdcore.contracts import Generator, LatentGenerator, MappedGenerator, State
from gdcore.errors import UserError
from gdcore.uniforms import normals, row_seeds

NUM_DRAWS = 8
"""Draws of the noise that a held-out bound is computed from."""
BOUND = (
    f"The generator has latent variables: its NLL and bits per byte are upper bounds (importance-weighted, {NUM_DRAWS} "
    "draws); the exported bundle scores by the looser bound of one draw."
)


def noise_dim(generator: Generator) -> int:
    """How many latent variables a generator has; 0 for most."""
    return getattr(generator, "noise_dim", 0)


def noise_of(generator: Generator, seeds_B: np.ndarray, device: torch.device | str) -> Tensor:
    """Each text's noise `(B,Z)`, a function of its seed alone; of width 0 for a generator that has none."""
    return torch.from_numpy(normals(seeds_B, noise_dim(generator))).to(device)


def begin(generator: Generator, noise_BZ: Tensor) -> State:
    """The state of texts of which nothing has been read, their noise put in."""
    state = generator.initial_state(len(noise_BZ), noise_BZ.device)
    return (*state[:-1], noise_BZ.unsqueeze(0)) if noise_dim(generator) else state


def hidden(generator: Generator, tokens_BT: Tensor, noise_BZ: Tensor) -> Tensor:
    """Features `(B,T,D)`; the noise counts where there is any."""
    if not noise_BZ.shape[1]:
        return generator.hidden(tokens_BT)
    return cast(LatentGenerator, generator).hidden(tokens_BT, noise_BZ)


def posterior(generator: Generator, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean and logarithm of the variance `(B,Z)` of the noise, or code, that each text may have been written from."""
    mean_BZ, log_variance_BZ = cast(LatentGenerator, generator).posterior(batch.tokens_BT, batch.mask_BT)
    return mean_BZ.float(), log_variance_BZ.float()


def noise_of_codes(generator: Generator, codes_BZ: Tensor) -> tuple[Tensor, Tensor]:
    """The noise behind these codes, and by variable log of how much the map stretches there; both `(B,Z)`.

    Without a map the noise is the code.
    """
    if not hasattr(generator, "noise_of"):
        return codes_BZ, torch.zeros_like(codes_BZ)
    return cast(MappedGenerator, generator).noise_of(codes_BZ)


def mapped(generator: Generator, objective: str) -> MappedGenerator:
    """The same generator, known to map its noise. Raises UserError for one that does not."""
    if not hasattr(generator, "noise_of"):
        raise UserError(
            f"objective {objective} trains a map from noise to codes, so it needs a generator that has one; "
            f"{generator.config.name!r} has none. Set generator.name to latent_gan."
        )
    return cast(MappedGenerator, generator)


@torch.no_grad()
def drawn_codes(generator: Generator, batch: Batch) -> Tensor:
    """A code `(B,Z)` of each text, drawn from its posterior by torch's global generator; no dropout, no gradient."""
    training = generator.training
    generator.eval()
    mean_BZ, log_variance_BZ = posterior(generator, batch)
    generator.train(training)
    return mean_BZ + (0.5 * log_variance_BZ).exp() * torch.randn_like(mean_BZ)


def likeliest(generator: Generator, batch: Batch) -> Tensor:
    """The noise `(B,Z)` behind each text's mean code."""
    return noise_of_codes(generator, posterior(generator, batch)[0])[0]


def inferred(generator: Generator, batch: Batch) -> tuple[Tensor, Tensor]:
    """One draw `(B,Z)` of the noise from the posterior, and KL(q ‖ N(0, I)) by variable `(B,Z)`, in nats.

    Behind a map the divergence is that of the codes from g(N(0, I)): KL(q ‖ N(0, I)) of the code c, and at the draw
    what the map takes from that, log N(c) − log p_g(c).

    While training from torch's global generator, reparameterised, so that gradients reach the encoder; in evaluation
    with the same standard normal vector for every text, so that a text's figure depends on nothing but the text.
    """
    mean_BZ, log_variance_BZ = posterior(generator, batch)
    draw_BZ = torch.randn_like(mean_BZ) if generator.training else fixed_draws(mean_BZ.shape[1])[0].to(mean_BZ)
    divergence_BZ = 0.5 * (mean_BZ.square() + log_variance_BZ.exp() - 1 - log_variance_BZ)
    codes_BZ = mean_BZ + (0.5 * log_variance_BZ).exp() * draw_BZ
    noise_BZ, stretched_BZ = noise_of_codes(generator, codes_BZ)
    return noise_BZ, divergence_BZ + 0.5 * (noise_BZ.square() - codes_BZ.square()) + stretched_BZ


def weighted_draws(generator: Generator, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """`NUM_DRAWS` draws `(B,Z)` of the noise, each with log p(z)/q(z|x) `(B,)`; the same at every call."""
    mean_BZ, log_variance_BZ = posterior(generator, batch)
    draws: list[tuple[Tensor, Tensor]] = []
    for draw_Z in fixed_draws(mean_BZ.shape[1]).to(mean_BZ):
        noise_BZ, stretched_BZ = noise_of_codes(generator, mean_BZ + (0.5 * log_variance_BZ).exp() * draw_Z)
        log_ratio_BZ = 0.5 * (draw_Z.square() + log_variance_BZ - noise_BZ.square()) - stretched_BZ
        draws.append((noise_BZ, log_ratio_BZ.sum(dim=1)))
    return draws


def fixed_draws(dim: int) -> Tensor:
    """Standard normal vectors `(S,Z)`, each followed by its mirror image: with it, less variance."""
    half_SZ = torch.from_numpy(normals(row_seeds(0, NUM_DRAWS // 2), dim))
    return torch.stack([half_SZ, -half_SZ], dim=1).flatten(0, 1)


def active_units(means_NZ: Tensor, threshold: float = 0.01) -> int:
    """Latent variables whose posterior mean varies over texts by more than `threshold` (Burda et al. 2016, §2)."""
    return int((means_NZ.var(dim=0) > threshold).sum())
