"""What a skip passes on: modules (skip, map below) -> skip."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from maskmill.models.blocks import GateFactory

SkipGate = Callable[[int, int], nn.Module]  # channels of the skip, and of the map below -> module

_MIN_HIDDEN = 4


class AttentionGate(nn.Module):
    """Let through of a skip what the coarser map below asks for.

    alpha = sigmoid(psi(relu(W_x x + W_g g + b))).

    Oktay et al., "Attention U-Net", eq. 1 and 2 and fig. 2, arXiv:1804.03999. As in the paper,
    alpha is found at the size of the coarser map and brought up bilinearly. W_x, W_g and psi are
    1x1 convolutions; between them are skip / 2 channels, at least 4.
    Shape: skip (N, skip, H, W), below (N, below, ~H/2, ~W/2) -> (N, skip, H, W).
    """

    def __init__(self, skip: int, below: int) -> None:
        super().__init__()
        hidden = max(skip // 2, _MIN_HIDDEN)
        self.of_skip = nn.Conv2d(skip, hidden, 1, bias=False)
        self.of_below = nn.Conv2d(below, hidden, 1)
        self.relu = nn.ReLU(inplace=True)
        self.psi = nn.Conv2d(hidden, 1, 1)

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        coarse = F.interpolate(skip, size=below.shape[-2:], mode="bilinear")
        # (N, 1, ~H/2, ~W/2)
        alpha = self.psi(self.relu(self.of_skip(coarse) + self.of_below(below))).sigmoid()
        return skip * F.interpolate(alpha, size=skip.shape[-2:], mode="bilinear")


class OwnGate(nn.Module):
    """A gate that looks at the skip alone.

    Shape: skip (N, skip, H, W), below (any) -> (N, skip, H, W).
    """

    def __init__(self, skip: int, below: int, *, gate: GateFactory) -> None:
        super().__init__()
        self.gate = gate(skip)

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        return self.gate(skip)  # type: ignore[no-any-return]
