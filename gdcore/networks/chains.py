"""Linear chains of labels: sums over all labellings of a text, and the likeliest one, by scans in log-space.

A labelling's score is Σ_t emission[t, label_t] + Σ_t transition[label_{t−1}, label_t]; its probability is the
exponential of that over Z, the sum over all labellings (Lafferty et al. 2001). PAD, on the right, bears no label.

Shapes: B texts, T tokens, S labels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def forward_scores(emissions_BTS: Tensor, transitions_SS: Tensor, mask_BT: Tensor) -> Tensor:
    """α `(B,T,S)`: log of the sum over the labellings of tokens 0…t that end in that label; PAD repeats the last."""
    alphas = [emissions_BTS[:, 0]]
    for t in range(1, emissions_BTS.shape[1]):
        arriving_BS = torch.logsumexp(alphas[-1].unsqueeze(2) + transitions_SS, dim=1) + emissions_BTS[:, t]
        alphas.append(torch.where(mask_BT[:, t : t + 1], arriving_BS, alphas[-1]))
    return torch.stack(alphas, dim=1)


def backward_scores(emissions_BTS: Tensor, transitions_SS: Tensor, mask_BT: Tensor) -> Tensor:
    """β `(B,T,S)`: log of the sum over the labellings of what follows t, given the label at t; 0 on the last token."""
    betas = [torch.zeros_like(emissions_BTS[:, 0])]
    for t in range(emissions_BTS.shape[1] - 1, 0, -1):
        ahead_BS = emissions_BTS[:, t] + betas[-1]
        leaving_BS = torch.logsumexp(transitions_SS + ahead_BS.unsqueeze(1), dim=2)
        betas.append(torch.where(mask_BT[:, t : t + 1], leaving_BS, betas[-1]))
    return torch.stack(betas[::-1], dim=1)


def log_partition(emissions_BTS: Tensor, transitions_SS: Tensor, mask_BT: Tensor) -> Tensor:
    """log Z `(B,)`."""
    return torch.logsumexp(forward_scores(emissions_BTS, transitions_SS, mask_BT)[:, -1], dim=-1)


def score(emissions_BTS: Tensor, transitions_SS: Tensor, labels_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Score `(B,)` of one labelling of each text."""
    at_BT = emissions_BTS.gather(2, labels_BT.unsqueeze(2)).squeeze(2)
    between_BT = transitions_SS[labels_BT[:, :-1], labels_BT[:, 1:]]
    return (at_BT * mask_BT).sum(dim=1) + (between_BT * mask_BT[:, 1:]).sum(dim=1)


NEVER = -1e4
"""A score that no sum notices, and whose gradient is 0, where that of −∞ would be NaN."""


def log_odds_of_constant(emissions_BTS: Tensor, transitions_SS: Tensor, label: int, mask_BT: Tensor) -> Tensor:
    """log(p / (1 − p)) `(B,)`, p being the probability that every token bears `label`.

    The other labellings are summed by themselves: taken from log p, 1 − p would be lost to rounding as p nears 1.
    """
    is_label_S = torch.arange(len(transitions_SS), device=transitions_SS.device) == label
    leaving_S = transitions_SS[label].masked_fill(is_label_S, NEVER)
    constant_B = emissions_BTS[:, 0, label]
    others_BS = emissions_BTS[:, 0].masked_fill(is_label_S, NEVER)
    for t in range(1, emissions_BTS.shape[1]):
        arriving_BS = torch.logsumexp(others_BS.unsqueeze(2) + transitions_SS, dim=1)
        # Not `logaddexp`, whose second derivative is NaN beside a score as low as NEVER.
        both_2BS = torch.stack([arriving_BS, constant_B.unsqueeze(1) + leaving_S])
        arriving_BS = torch.logsumexp(both_2BS, dim=0) + emissions_BTS[:, t]
        staying_B = constant_B + transitions_SS[label, label] + emissions_BTS[:, t, label]
        others_BS = torch.where(mask_BT[:, t : t + 1], arriving_BS, others_BS)
        constant_B = torch.where(mask_BT[:, t], staying_B, constant_B)
    return constant_B - torch.logsumexp(others_BS, dim=-1)


def marginals(emissions_BTS: Tensor, transitions_SS: Tensor, mask_BT: Tensor) -> Tensor:
    """Probability `(B,T,S)` of each label at each token; on PAD it means nothing."""
    alphas_BTS = forward_scores(emissions_BTS, transitions_SS, mask_BT)
    betas_BTS = backward_scores(emissions_BTS, transitions_SS, mask_BT)
    return torch.softmax(alphas_BTS + betas_BTS, dim=-1)


def likeliest(emissions_BTS: Tensor, transitions_SS: Tensor, mask_BT: Tensor) -> Tensor:
    """The labelling `(B,T)` of highest probability (Viterbi 1967); PAD repeats the last token's label."""
    best_BS, came_from = emissions_BTS[:, 0], []
    stay_S = torch.arange(len(transitions_SS), device=transitions_SS.device)
    for t in range(1, emissions_BTS.shape[1]):
        arriving = (best_BS.unsqueeze(2) + transitions_SS).max(dim=1)
        inside_B1 = mask_BT[:, t : t + 1]
        came_from.append(torch.where(inside_B1, arriving.indices, stay_S))
        best_BS = torch.where(inside_B1, arriving.values + emissions_BTS[:, t], best_BS)
    labels = [best_BS.argmax(dim=1)]
    for from_BS in reversed(came_from):
        labels.append(from_BS.gather(1, labels[-1].unsqueeze(1)).squeeze(1))
    return torch.stack(labels[::-1], dim=1)


def run_probabilities(
    emissions_BTS: Tensor, transitions_SS: Tensor, mask_BT: Tensor, label: int, runs: Sequence[tuple[int, int, int]]
) -> list[float]:
    """For each run (text, start, end): the probability that all of its tokens, `end` not among them, bear `label`."""
    alphas_BTS = forward_scores(emissions_BTS, transitions_SS, mask_BT).double()
    betas_BTS = backward_scores(emissions_BTS, transitions_SS, mask_BT).double()
    partition_B = torch.logsumexp(alphas_BTS[:, -1], dim=-1)
    within_BT = (emissions_BTS[..., label] + transitions_SS[label, label]).double()
    logs = [
        alphas_BTS[b, start, label]
        + within_BT[b, start + 1 : end].sum()
        + betas_BTS[b, end - 1, label]
        - partition_B[b]
        for b, start, end in runs
    ]
    return [min(1.0, float(log.exp())) for log in logs]
