"""An invertible map of vectors: affine couplings, which begin as the identity.

Dinh, Sohl-Dickstein & Bengio 2017 («Real NVP»), eq. 7 and 9: one half of the variables passes unchanged and says by how
much each of the other half is stretched and shifted; the next layer turns the halves round. So the inverse costs what
the map costs, and the determinant of its derivative is the product of the stretchings.

Shapes: B texts, Z variables.
"""

import torch
from torch import Tensor, nn


class Couplings(nn.Module):
    """Layers of couplings. The logarithm of a stretching is bounded by tanh to ±1 a layer, so nothing blows up."""

    def __init__(self, dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 2 * dim))
            for _ in range(num_layers)
        )
        for net in self.nets:
            assert isinstance(net, nn.Sequential)
            for parameter in net[-1].parameters():  # no stretching, no shift: the identity, exactly
                nn.init.zeros_(parameter)
        odd_Z = torch.arange(dim) % 2
        moved_LZ = torch.stack([(odd_Z + layer) % 2 for layer in range(num_layers)]).float()
        self.moved_LZ: Tensor
        self.register_buffer("moved_LZ", moved_LZ, persistent=False)  # 1 on what a layer moves

    def forward(self, from_BZ: Tensor) -> Tensor:
        """The image `(B,Z)`."""
        x_BZ = from_BZ
        for layer in range(len(self.nets)):
            log_scale_BZ, shift_BZ = self._motion(layer, x_BZ)
            x_BZ = x_BZ * log_scale_BZ.exp() + shift_BZ
        return x_BZ

    def inverse(self, to_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """What has this image, and by variable the logarithm of how much the map stretches there; both `(B,Z)`.

        The sum of the latter over the variables is log |det ∂ image / ∂ argument|.
        """
        x_BZ, stretched_BZ = to_BZ, torch.zeros_like(to_BZ)
        for layer in reversed(range(len(self.nets))):
            log_scale_BZ, shift_BZ = self._motion(layer, x_BZ)
            x_BZ = (x_BZ - shift_BZ) * (-log_scale_BZ).exp()
            stretched_BZ = stretched_BZ + log_scale_BZ
        return x_BZ, stretched_BZ

    def _motion(self, layer: int, x_BZ: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithm of the stretching and shift `(B,Z)`, 0 where the layer moves nothing; read off what it leaves."""
        moved_Z = self.moved_LZ[layer]
        raw_BZ, shift_BZ = self.nets[layer](x_BZ * (1 - moved_Z)).chunk(2, dim=-1)
        return moved_Z * torch.tanh(raw_BZ), moved_Z * shift_BZ
