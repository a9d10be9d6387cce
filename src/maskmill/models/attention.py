"""Gates that reweight a feature map by what it contains."""

from torch import Tensor, nn

_MIN_HIDDEN = 4  # with reduction 16, fewer than 16 channels would leave no hidden unit and a constant gate


class SqueezeExcite(nn.Module):
    """Rescale each channel by a gate computed from its global average.

    Hu et al., "Squeeze-and-Excitation Networks", sec. 3, arXiv:1709.01507; hidden = max(channels // reduction, 4).
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, _MIN_HIDDEN)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.relu = nn.ReLU(inplace=True)
        self.excite = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        average = x.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
        gate: Tensor = self.excite(self.relu(self.squeeze(average))).sigmoid()
        return x * gate
