"""Small pieces that several architectures share.

Shapes: B texts, T tokens, V vocabulary, D features, H hidden, C channels, W tokens of a window.
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


NARROW = 8
"""Numbers in a window, up to which it is cheaper to look for the best window first."""
PIECE = 1 << 20
"""Answers at a time meanwhile: 4 MB, which stay in the processor's cache."""


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
    """Convolutions of several widths over time, and each filter's strongest answer (Kim 2014, §2).

    Where windows are narrower than texts are long (`NARROW`), and gradients are wanted, it is first found out, piece by
    piece, which window of a text answers each filter best; the answer of that one alone is then differentiated.
    """

    def __init__(self, dim: int, num_filters: int, widths: Sequence[int]) -> None:
        super().__init__(nn.Conv1d(dim, num_filters, width) for width in widths)
        self.by_window = dim * max(widths) <= NARROW

    def forward(self, embedded_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        """Features `(B,C)`, C = filters × widths, over the windows that begin inside the text; PAD counts as zeros."""
        inside_BDT = (embedded_BTD * mask_BT.unsqueeze(-1)).transpose(1, 2)
        pooled = []
        for convolution in self:
            assert isinstance(convolution, nn.Conv1d)
            padded_BDT = nn.functional.pad(inside_BDT, (0, convolution.kernel_size[0] - 1))
            if self.by_window and torch.is_grad_enabled():
                pooled.append(_best_answers(convolution, padded_BDT, mask_BT))
            else:
                pooled.append(strongest(convolution(padded_BDT).transpose(1, 2), mask_BT))
        return torch.relu(torch.cat(pooled, dim=-1))


def _best_answers(convolution: nn.Conv1d, padded_BDT: Tensor, mask_BT: Tensor) -> Tensor:
    """Each filter's strongest answer `(B,C)` to a window that begins inside the text."""
    width, num = convolution.kernel_size[0], max(1, PIECE // (convolution.out_channels * mask_BT.shape[1]))
    with torch.no_grad():
        pieces = zip(padded_BDT.split(num), mask_BT.unsqueeze(1).split(num), strict=True)
        place_BC = torch.cat(
            [convolution(piece).masked_fill(~mask, -torch.inf).argmax(dim=2) for piece, mask in pieces]
        )
    windows_BDTW = padded_BDT.unfold(2, width, 1)
    place_BDCW = place_BC[:, None, :, None].expand(-1, windows_BDTW.shape[1], -1, width)
    answers_BC = torch.einsum("bdcw,cdw->bc", windows_BDTW.gather(2, place_BDCW), convolution.weight)
    return answers_BC if convolution.bias is None else answers_BC + convolution.bias


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
