"""A generator as it was: the reference that a policy is held to, the opponent of self-play, the source of samples."""

from typing import Self

import torch
from torch import nn

from gdcore.contracts import Generator
from gdcore.networks.lora import shared_copy


class Snapshot(nn.Module):
    """A frozen copy, in evaluation mode whatever happens round it; an objective's own, so it is in its checkpoint."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.model = shared_copy(generator)
        self.model.eval()
        self.model.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Nothing: a frozen model has no training mode, and its dropout must stay off."""
        return self

    @torch.no_grad()
    def follow(self, generator: Generator, keep: float = 0.0) -> None:
        """Become the generator; `keep` is the share of the old weights that stays (a running average)."""
        for mine, theirs in zip(self.model.parameters(), generator.parameters(), strict=True):
            mine.lerp_(theirs, 1 - keep)
