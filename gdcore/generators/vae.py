"""Text VAE (Bowman et al. 2016): each text is written from noise z of its own as well as token by token.

The model itself is in `gdcore.networks.text_vae`, for the `latent_gan` generator writes with it too.
"""

from typing import Literal

from gdcore.networks.text_vae import TextVAE, TextVAEConfig


class Config(TextVAEConfig):
    name: Literal["vae"] = "vae"


def Generator(config: Config, vocab_size: int, context: int) -> TextVAE:
    """A text VAE."""
    return TextVAE(config, vocab_size, context)
