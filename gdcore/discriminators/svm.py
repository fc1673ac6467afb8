"""Support vector machine: a linear verdict on n-grams that minimises ½‖w‖² + C Σ ξ², ξ the hinge.

Cortes & Vapnik 1995 with the squared hinge, as liblinear has it (Fan et al. 2008, eq. 3): strictly convex, so there is
one optimum. As there, the bias is the weight of a feature that is always 1, and K classes are K machines, each for its
class against the rest. Single tokens have a weight each; longer n-grams share `num_buckets` by hash (Weinberger et al.
2009). A text's counts are divided by the root of how many n-grams it has.

The sum runs over the texts shown at once: learnt from N texts in batches of B, C does what C · B / N would do on all of
them. AdamW's own weight decay would be a second ½‖w‖²: set it to 0.

A verdict is a margin, not a log-odds: ±1 is where a text stops pulling.

Shapes: B texts, T tokens, V vocabulary, L n-grams of a text, F features, K classes.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from gdcore.networks.layers import unwrapped
from gdcore.settings import Settings

PRIME, MULTIPLIER = 2**31 - 1, 1_000_003
"""Of the polynomial hash: products stay below 2⁶³."""


class Config(Settings):
    name: Literal["svm"] = "svm"
    C: float = Field(default=100.0, gt=0)
    """What a violated margin costs, beside ½‖w‖²: more fits closer, less keeps the margin wider. It counts a batch."""
    longest: int = Field(default=2, ge=1)
    """Longest n-gram, in tokens."""
    num_buckets: int = Field(default=1 << 14, ge=1)
    """Weights that the n-grams of two tokens and more share."""


class Discriminator(nn.Module):
    """One margin a text, positive means «real»; or one a class, where there are several."""

    def __init__(self, config: Config, vocab_size: int, num_classes: int = 1) -> None:
        super().__init__()
        self.config, self.vocab_size = config, vocab_size
        num_features = vocab_size + (config.num_buckets if config.longest > 1 else 0)
        # Not zero, or the first gradients of a generator's soft rows would be; the optimum does not hang on it.
        self.weight = nn.Parameter(torch.randn(num_features, num_classes) * 0.01)
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, inputs: Tensor, mask_BT: Tensor) -> Tensor:
        """Margins `(B,)`, or `(B,K)`, of ids `(B,T)` or soft rows `(B,T,V)`; what `mask_BT` leaves out changes nothing.

        Of soft rows single tokens count by their expectation, longer n-grams by the likeliest one times its mass.
        """
        soft = inputs.dim() == 3
        ids_BT = inputs.argmax(dim=-1) if soft else inputs
        mass_BT = mask_BT * inputs.amax(dim=-1) if soft else mask_BT.to(self.weight.dtype)
        single_BTK = (
            inputs.to(self.weight.dtype) @ self.weight[: self.vocab_size]
            if soft
            else nn.functional.embedding(ids_BT, self.weight)
        )
        summed_BK = (single_BTK * mask_BT.unsqueeze(-1)).sum(dim=1)
        number_B = mask_BT.sum(dim=1)
        for size in range(2, self.config.longest + 1):
            index_BL, mass_BL, inside_BL = self._ngrams(ids_BT, mass_BT, mask_BT, size)
            summed_BK = summed_BK + (nn.functional.embedding(index_BL, self.weight) * mass_BL.unsqueeze(-1)).sum(dim=1)
            number_B = number_B + inside_BL.sum(dim=1)
        return unwrapped(summed_BK / number_B.unsqueeze(-1).sqrt() + self.bias)

    def _ngrams(self, ids_BT: Tensor, mass_BT: Tensor, mask_BT: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Of each n-gram that begins at a token: its feature, its mass (0 if it leaves the text), if it is inside."""
        hash_BT, product_BT, inside_BT = torch.zeros_like(ids_BT), torch.ones_like(mass_BT), torch.ones_like(mask_BT)
        for k in range(size):
            ahead = (0, k)
            hash_BT = (hash_BT * MULTIPLIER + nn.functional.pad(ids_BT, ahead)[:, k:] + 1) % PRIME
            product_BT = product_BT * nn.functional.pad(mass_BT, ahead)[:, k:]
            inside_BT = inside_BT & nn.functional.pad(mask_BT, ahead)[:, k:]
        return self.vocab_size + hash_BT % self.config.num_buckets, product_BT, inside_BT

    def verdict_loss(self, margins: Tensor, targets: Tensor) -> Tensor:
        """½‖w‖² + C Σ max(0, 1 − y·margin)², y = ±1.

        Of margins `(B,)` with targets 1 (real) and 0; of margins `(B,K)` with targets the classes `(B,)`.
        """
        wanted = nn.functional.one_hot(targets, margins.shape[1]) if margins.dim() == 2 else targets
        hinge = torch.relu(1 - (2 * wanted.to(margins.dtype) - 1) * margins)
        return (self.weight.square().sum() + self.bias.square().sum()) / 2 + self.config.C * hinge.square().sum()
