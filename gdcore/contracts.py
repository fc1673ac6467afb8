"""What the two players and an objective must offer; a plug-in offers it by having it, and inherits nothing.

Shapes: B texts, T tokens, V vocabulary, D features, Z latent variables.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from gdcore.batches import Batch

Loss = tuple[Tensor, dict[str, Tensor]]
"""A scalar to minimise, and what to log about it."""

State = tuple[Tensor, ...]
"""What a generator remembers of the tokens it read; texts lie on axis 1 of every tensor."""


class Module(Protocol):
    """The part of `torch.nn.Module` that training needs."""

    training: bool

    def parameters(self) -> Iterator[nn.Parameter]: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def requires_grad_(self, requires_grad: bool = True) -> Any: ...
    def to(self, device: torch.device | str) -> Any: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


class Generator(Module, Protocol):
    """A next-token model."""

    config: Any
    vocab_size: int
    context: int
    """The longest sequence it reads, BOS and EOS included."""

    def hidden(self, tokens_BT: Tensor) -> Tensor:
        """Features `(B,T,D)`."""
        ...

    def head(self, hidden: Tensor) -> Tensor:
        """Logits `(…,V)` of features `(…,D)`."""
        ...

    def logits(self, tokens_BT: Tensor) -> Tensor:
        """Logits `(B,T,V)`; those at `t` predict the token at `t + 1`."""
        ...

    def initial_state(self, batch_size: int, device: torch.device | str = "cpu") -> State: ...

    def step(self, token_B: Tensor, state: Any) -> tuple[Tensor, State]:
        """Read one token a text; logits `(B,V)` of the next, equal to those of `logits`."""
        ...


class LatentGenerator(Generator, Protocol):
    """A generator that writes each text from noise z ~ N(0, I) of the text's own, as well as token by token.

    The last tensor of its state is that noise, `(1,B,Z)`; zero in `initial_state`, until the sampler puts it in.
    `gdcore.networks.latent` is what the rest of gdcore knows of such generators.
    """

    noise_dim: int

    def hidden(self, tokens_BT: Tensor, noise_BZ: Tensor | None = None) -> Tensor:
        """Features `(B,T,D)` of texts written from this noise; from zeros where it is not given."""
        ...

    def posterior(self, tokens_BT: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance, both `(B,Z)`, of the noise that a text may have been written from."""
        ...

    def pretraining_loss(self, batch: Batch, step: int) -> Loss:
        """What it minimises, per token, in place of the NLL."""
        ...


class MappedGenerator(LatentGenerator, Protocol):
    """A latent generator that reads a code, which an invertible map makes of the noise; its posterior is the code's."""

    def codes(self, noise_BZ: Tensor) -> Tensor:
        """What the map makes of the noise `(B,Z)`."""
        ...

    def noise_of(self, codes_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """The noise behind codes, and by variable log of how much the map stretches there; both `(B,Z)`."""
        ...


class Discriminator(Module, Protocol):
    """A judge of texts; a positive logit means «real». Built for K > 1 classes it is a classifier.

    One that learns otherwise than by cross-entropy has a `verdict_loss(logits, targets)`: see
    `gdcore.adversarial.verdicts`.
    """

    config: Any
    vocab_size: int

    def __call__(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,)`, or `(B,K)` of K classes, of ids `(B,T)` or soft rows `(B,T,V)`, PAD masked out."""
        ...


class CausalDiscriminator(Discriminator, Protocol):
    """A discriminator that judges every prefix too."""

    def token_logits(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,T)`; that at `t` judges the prefix that ends with token `t`."""
        ...


class ManyViewed(Discriminator, Protocol):
    """A discriminator that judges several representations of a text; its logit is their mean."""

    def view_logits(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Logits `(B,W,K)` of each view by itself; K = 1 of a discriminator."""
        ...


class LabellingDiscriminator(Discriminator, Protocol):
    """A discriminator that labels every token, 1 real or 0 fake; a text is real if all of its tokens are."""

    def loss(self, inputs: Tensor, labels_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """−log P(labels | text), in nats per token (scalar)."""
        ...

    def marginals(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """The probability `(B,T)` that each token is real; 0 on PAD."""
        ...


class Objective(Module, Protocol):
    """One adversarial algorithm: what each player minimises.

    Whatever it carries besides the players (a reference model, a baseline, a schedule) are its modules and buffers, so
    that a checkpoint holds them. `step` is the generator's turn, from 0, and stays 0 while the
    discriminator learns alone.
    """

    def generator_loss(self, batch: Batch, step: int) -> Loss: ...
    def discriminator_loss(self, batch: Batch, step: int) -> Loss: ...
