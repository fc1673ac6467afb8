"""Policy-gradient arithmetic that objectives share.

Shapes: B texts, T tokens.
"""

import torch
from torch import Tensor

from gdcore import ranks
from gdcore.adversarial.undisturbed import undisturbed
from gdcore.batches import Batch
from gdcore.contracts import Generator
from gdcore.likelihood import logprobs


def policy_logprobs(generator: Generator, texts: Batch) -> Tensor:
    """Log-probabilities `(B,T)` of the policy that writes, which has no dropout; zero on tokens that do not count.

    With dropout's noise in them a ratio to another policy is not 1 where the two are the same, and the gradient of a
    constant advantage is not 0.
    """
    with undisturbed(generator):
        return logprobs(generator, texts)


def leave_one_out(rewards: Tensor, mask: Tensor | None = None, *, everywhere: bool = True) -> Tensor:
    """Advantages: each reward less the mean of the *other* texts' rewards, `(B,)` or per position `(B,T)`.

    Unbiased, for a text's baseline does not contain its own reward (Kool et al. 2019). Where `mask` is given, only the
    rewards it admits take part; a text alone at its position has advantage 0. The others are those of the whole batch,
    whatever process has them, unless these rows are a group by themselves (`everywhere`).
    """
    mask = torch.ones_like(rewards, dtype=torch.bool) if mask is None else mask
    if everywhere and ranks.size() > 1:
        of_all = leave_one_out(ranks.gathered(rewards), ranks.gathered(mask.int()).bool(), everywhere=False)
        return ranks.own(of_all, like=rewards)
    rewards = rewards * mask
    others = mask.sum(dim=0) - 1
    baseline = (rewards.sum(dim=0) - rewards) / others.clamp(min=1)
    return (rewards - baseline) * (mask & (others > 0))


def whiten(advantages: Tensor, eps: float = 1e-6) -> Tensor:
    """Advantages over their standard deviation, so that the step does not hang on the reward's scale."""
    return advantages / (ranks.deviation(advantages) + eps)


def kl_estimate(logprobs_BT: Tensor, reference_BT: Tensor) -> Tensor:
    """KL(policy ‖ reference) per token from the policy's own samples: `r − 1 − log r`, r = reference / policy.

    Schulman's k3 estimator: unbiased, never negative, of low variance (Shao et al. 2024, eq. 4).
    """
    log_ratio_BT = reference_BT - logprobs_BT
    return log_ratio_BT.exp() - 1 - log_ratio_BT
