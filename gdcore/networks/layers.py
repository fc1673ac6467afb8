"""Small pieces that several architectures share.

Shapes: B texts, T tokens, V vocabulary, D features, H hidden, C channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def embed(inputs: Tensor, weight_VD: Tensor) -> Tensor:
    """Embed ids `(…)` by look-up, or soft rows `(…,V)` (real numbers) by their expectation; returns `(…,D)`.

    A one-hot row gives what its id gives, so a discriminator reads real ids and a generator's soft output alike.
    """
    if inputs.is_floating_point():
        return inputs.to(weight_VD.dtype) @ weight_VD
    return nn.functional.embedding(inputs, weight_VD)


class Highway(nn.Module):
    """Highway layer (Srivastava et al. 2015, eq. 3): a learned gate between a transformation and the identity."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.transform = nn.Linear(dim, dim)
        self.gate = nn.Linear(dim, dim)
        nn.init.constant_(self.gate.bias, -2.0)  # starts close to the identity

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x))
        return gate * torch.relu(self.transform(x)) + (1 - gate) * x


class Convolutions(nn.ModuleList):
    """Convolutions of several widths over time, and each filter's strongest answer (Kim 2014, §2)."""

    def __init__(self, dim: int, num_filters: int, widths: Sequence[int]) -> None:
        super().__init__(nn.Conv1d(dim, num_filters, width) for width in widths)

    def forward(self, embedded_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,C)`, C = filters × widths, over the windows that begin inside the text; PAD counts as zeros."""
        inside_BDT = (embedded_BTD * mask_BT.unsqueeze(-1)).transpose(1, 2)
        pooled = []
        for convolution in self:
            assert isinstance(convolution, nn.Conv1d)
            answers_BCT = convolution(nn.functional.pad(inside_BDT, (0, convolution.kernel_size[0] - 1)))
            pooled.append(strongest(answers_BCT.transpose(1, 2), mask_BT))
        return torch.relu(torch.cat(pooled, dim=-1))


class BidirectionalLSTM(nn.Module):
    """Two LSTMs a layer, one from each end of the text (Graves and Schmidhuber 2005).

    The second reads the text turned round in place, PAD left where it is: PyTorch's own bidirectional layer would begin
    with the padding, and a text's features would hang on its neighbours' length. So it needs no packing, which ONNX
    has not.
    """

    def __init__(self, dim: int, hidden_dim: int, num_layers: int = 1) -> None:
        super().__init__()
        dims = [dim, *[2 * hidden_dim] * (num_layers - 1)]
        self.forwards = nn.ModuleList(nn.LSTM(each, hidden_dim, batch_first=True) for each in dims)
        self.backwards = nn.ModuleList(nn.LSTM(each, hidden_dim, batch_first=True) for each in dims)

    def forward(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,T,2H)`; those of PAD mean nothing."""
        position_T = torch.arange(x_BTD.shape[1], device=x_BTD.device)
        turned_BT = mask_BT.sum(dim=1, keepdim=True) - 1 - position_T
        turned_BT1 = torch.where(turned_BT < 0, position_T, turned_BT).unsqueeze(-1)
        for forwards, backwards in zip(self.forwards, self.backwards, strict=True):
            right_BTH, _ = forwards(x_BTD)
            left_BTH, _ = backwards(_taken(x_BTD, turned_BT1))
            x_BTD = torch.cat([right_BTH, _taken(left_BTH, turned_BT1)], dim=-1)
        return x_BTD


def _taken(x_BTD: Tensor, position_BT1: Tensor) -> Tensor:
    """Each text's rows in another order."""
    return x_BTD.gather(1, position_BT1.expand(-1, -1, x_BTD.shape[-1]))


def strongest(features_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Each feature's maximum `(B,D)` over the tokens of a text."""
    return features_BTD.masked_fill(~mask_BT.unsqueeze(-1), -torch.inf).amax(dim=1)


def average(features_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """Each feature's mean `(B,D)` over the tokens of a text."""
    inside_BT1 = mask_BT.unsqueeze(-1).to(features_BTD.dtype)
    return (features_BTD * inside_BT1).sum(dim=1) / inside_BT1.sum(dim=1)


def unwrapped(logits: Tensor) -> Tensor:
    """Logits `(…,K)` of K classes; where there is but one logit, `(…)`."""
    return logits.squeeze(-1) if logits.shape[-1] == 1 else logits
