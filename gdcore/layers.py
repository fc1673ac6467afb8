"""Small pieces that several architectures share."""

import torch
from torch import Tensor, nn


def embed(inputs: Tensor, weight_VD: Tensor) -> Tensor:
    """Embed ids `(B,T)` by look-up, or soft rows `(B,T,V)` by their expectation; returns `(B,T,D)`.

    A one-hot row gives what its id gives, so a discriminator reads real ids and a generator's soft output alike.
    """
    if inputs.dim() == 3:
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
