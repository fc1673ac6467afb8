"""Whether players and objective go together, found out before anything else is done."""

from typing import Any

import torch

from gdcore import plugins
from gdcore.tokenizer import SPECIALS
from gdcore.training.checkpoint import build_discriminator, build_generator


def rehearse(generator_config: Any, discriminator_config: Any, objective_config: Any) -> None:
    """Put players and objective together once, without text or weights.

    Raises UserError for those that cannot play together: before the corpus is read rather than after hours of it.
    """
    if getattr(generator_config, "start", None):  # a pretrained model need not be read for that
        generator_config = generator_config.model_copy(update={"start": None, "adapters": None})
    with torch.device("meta"):
        generator = build_generator(generator_config, len(SPECIALS) + 1, context=8)
        discriminator = build_discriminator(discriminator_config, generator.vocab_size)
        plugins.load("objectives", objective_config.name).Objective(objective_config, generator, discriminator)
