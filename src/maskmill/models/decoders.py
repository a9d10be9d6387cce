"""From deep, coarse maps back to the image's size."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskmill.models.blocks import DoubleConv


class Up(nn.Module):
    """Halve the channels, double the size, join the skip, convolve twice.

    Ronneberger et al., "U-Net", sec. 2, arXiv:1505.04597, with bilinear upsampling. The 1x1 convolution comes first:
    both maps are linear and commute, and at the smaller size it costs a quarter.
    The result takes the skip's size, so that odd sizes need no padding.
    Shape: (N, below, ~H/2, ~W/2), (N, skip, H, W) -> (N, out, H, W).
    """

    def __init__(self, below: int, skip: int, out: int, *, norm: bool = True) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(below, out, 1)
        self.convs = DoubleConv(out + skip, out, norm=norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(self.reduce(x), size=skip.shape[-2:], mode="bilinear")
        return self.convs(torch.cat([skip, x], dim=1))  # type: ignore[no-any-return]


class UNetDecoder(nn.Module):
    """A chain of `Up` blocks from the deepest map to the finest.

    Shape: maps of `channels`, finest first -> (N, channels[0] or widths[0], H, W) at the finest map's size.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int] | None = None, *, norm: bool = True) -> None:
        super().__init__()
        widths = list(widths or channels[:-1])  # channels after each block, finest first
        below = [*widths[1:], channels[-1]]
        self.ups = nn.ModuleList(Up(b, s, w, norm=norm) for b, s, w in zip(below, channels[:-1], widths, strict=True))
        self.out_channels = widths[0]

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        x = maps[-1]
        for up, skip in zip(reversed(self.ups), reversed(maps[:-1]), strict=True):
            x = up(x, skip)
        return x
