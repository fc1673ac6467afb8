"""What the two players of a GAN minimise, given the discriminator's logits: the variants, by name.

Shapes: B texts.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import relu, softplus

GanLoss = Literal["saturating", "non_saturating", "hinge", "wasserstein", "relativistic"]
"""`saturating`, `non_saturating`: Goodfellow et al. 2014, eq. 1 and §3. `hinge`: Lim & Ye 2017. `wasserstein`: Arjovsky
et al. 2017; wants `gradient_penalty`. `relativistic`: Jolicoeur-Martineau 2018, in pairs."""


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


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """E (‖∇D(x̂)‖ − 1)², x̂ at random between a real and a generated text (Gulrajani et al. 2017, eq. 3; scalar).

    `critic` gives the logit of each row of `(B,…)` by itself. In single precision, for a gradient is differentiated;
    and past cuDNN's recurrent layers and fused attention, which cannot be differentiated twice.
    """
    share = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
    between = torch.lerp(real.detach().float(), fake.detach().float(), share).requires_grad_()
    plain = torch.backends.cudnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH)
    with torch.autocast(real.device.type, enabled=False), plain[0], plain[1]:
        logits_B = critic(between)
        (gradient,) = torch.autograd.grad(logits_B.sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
