"""Gates that reweight a feature map by what it contains."""

import torch
from torch import Tensor, nn

# with reduction 16, fewer than 16 channels would leave no hidden unit and a constant gate
_MIN_HIDDEN = 4


class SqueezeExcite(nn.Module):
    """Rescale each channel by a gate computed from its global average.

    Hu et al., "Squeeze-and-Excitation Networks", sec. 3, arXiv:1709.01507; hidden = max(channels //
    reduction, 4).
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


class SpatialExcite(nn.Module):
    """Rescale each position by a gate computed from its channels.

    Roy et al., "Concurrent Spatial and Channel Squeeze & Excitation", sec. 2.2 (sSE),
    arXiv:1803.02579.
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.squeeze(x).sigmoid()  # (N, 1, H, W)
        return x * gate


class ConcurrentExcite(nn.Module):
    """Channels and positions rescaled beside each other, and added.

    Roy et al., sec. 2.3 (scSE), arXiv:1803.02579; the paper's reduction is 2 (sec. 2.1).
    Shape: (N, C, H, W) -> (N, C, H, W).
    """

    def __init__(self, channels: int, *, reduction: int = 2) -> None:
        super().__init__()
        self.channel = SqueezeExcite(channels, reduction=reduction)
        self.spatial = SpatialExcite(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.channel(x) + self.spatial(x)  # type: ignore[no-any-return]


def wake_gates(module: nn.Module) -> None:
    """Make the gates behind a ReLU see their input at first.

    For `Module.apply`, after initialisation.

    Behind a ReLU all averages are positive, and a hidden unit whose weights add up to less than 0
    is silent for every image: with four units, one gate in 16 would start constant and stay so. The
    weights of such units change sign.
    """
    if isinstance(module, SqueezeExcite):
        with torch.no_grad():
            weight = module.squeeze.weight  # (hidden, C, 1, 1)
            weight.mul_(torch.where(weight.sum((1, 2, 3), keepdim=True) < 0, -1.0, 1.0))
