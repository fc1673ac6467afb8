"""What the two players of a GAN minimise, given the discriminator's logits: the variants, by name.

Shapes: B texts.
"""

from typing import Literal

from torch import Tensor
from torch.nn.functional import relu, softplus

GanLoss = Literal["saturating", "non_saturating", "hinge", "wasserstein", "relativistic"]
"""`saturating`, `non_saturating`: Goodfellow et al. 2014, eq. 1 and §3. `hinge`: Lim & Ye 2017. `wasserstein`: Arjovsky
et al. 2017; wants a penalty on the critic's gradient. `relativistic`: Jolicoeur-Martineau 2018, in pairs."""


def discriminator_loss(variant: GanLoss, real_B: Tensor, fake_B: Tensor) -> Tensor:
    """Low where real texts have high logits and generated ones low (scalar)."""
    if variant == "hinge":
        return relu(1 - real_B).mean() + relu(1 + fake_B).mean()
    if variant == "wasserstein":
        return fake_B.mean() - real_B.mean()
    if variant == "relativistic":
        return softplus(fake_B - real_B).mean()
    return (softplus(-real_B).mean() + softplus(fake_B).mean()) / 2


def generator_loss(variant: GanLoss, real_B: Tensor, fake_B: Tensor) -> Tensor:
    """Low where generated texts have high logits, `relativistic`: higher than real ones (scalar)."""
    if variant == "saturating":
        return -softplus(fake_B).mean()  # log(1 − D): flat where the discriminator is sure, hence the name
    if variant == "non_saturating":
        return softplus(-fake_B).mean()
    if variant == "relativistic":
        return softplus(real_B - fake_B).mean()
    return -fake_B.mean()
