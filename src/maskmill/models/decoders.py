"""From deep, coarse maps back to the image's size."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypedDict, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskmill.models.blocks import DoubleConv, GateFactory
from maskmill.models.skips import SkipGate


class Upsampling(NamedTuple):
    """A learned layer, and how its result comes to the size of the skip."""

    # channels of the map below, and wanted
    layer: Callable[[int, int], nn.Conv2d | nn.ConvTranspose2d]
    resize: Callable[[Tensor, torch.Size], Tensor]


def _crop(x: Tensor, size: torch.Size) -> Tensor:
    # a slice exports for the example's size alone
    return F.pad(x, (0, size[1] - x.shape[3], 0, size[0] - x.shape[2]))


# The 1x1 convolution comes first: both maps are linear and commute, and at the smaller size it
# costs a quarter.
BILINEAR = Upsampling(partial(nn.Conv2d, kernel_size=1), partial(F.interpolate, mode="bilinear"))
# Twice the size is the skip's size, or one more where that is odd.
TRANSPOSED = Upsampling(partial(nn.ConvTranspose2d, kernel_size=2, stride=2), _crop)


class Parts(TypedDict, total=False):
    """What an up-step is made of."""

    norm: bool  # batch norm after its convolutions
    upsampling: Upsampling
    gate: GateFactory | None  # after its convolutions
    skip_gate: SkipGate | None


class Up(nn.Module):
    """Come to the size of the skip and to `out` channels, join skips, convolve twice.

    Ronneberger et al., "U-Net", sec. 2, arXiv:1505.04597. Of `n_concat` joined maps, n_concat - 1
    are skips of the same shape: 2 in U-Net, more in U-Net++ (Zhou et al., sec. 3.1,
    arXiv:1807.10165).
    The result takes the skip's size, so that odd sizes need no padding. A skip of no channels gives
    its size alone.
    Shape: (N, below, ~H/2, ~W/2), skips (N, skip, H, W) -> (N, out, H, W).
    """

    def __init__(
        self,
        below: int,
        skip: int,
        out: int,
        *,
        n_concat: int = 2,
        norm: bool = True,
        upsampling: Upsampling = BILINEAR,
        gate: GateFactory | None = None,
        skip_gate: SkipGate | None = None,
    ) -> None:
        super().__init__()
        self.resize = upsampling.resize
        self.reduce = upsampling.layer(below, out)
        self.convs = DoubleConv(
            self.reduce.out_channels + (n_concat - 1) * skip, out, norm=norm, gate=gate
        )
        self.skip_gate = skip_gate(skip, below) if skip_gate and skip else None

    def forward(self, x: Tensor, *skips: Tensor) -> Tensor:
        out = self._joined(x, *skips)
        # one by one: called as a whole, they would hold the joined map to their end
        for layer in self.convs:
            out = layer(out)
        return out

    def _joined(self, x: Tensor, *skips: Tensor) -> Tensor:
        """Join the skips and the resized map.

        A method by itself, so that its parts are freed before the convolutions begin.
        """
        up = self.resize(self.reduce(x), skips[0].shape[-2:])
        if self.skip_gate:
            skips = tuple(self.skip_gate(skip, x) for skip in skips)
        parts = [skip for skip in skips if skip.shape[1]]
        return torch.cat([*parts, up], dim=1) if parts else up


class UNetDecoder(nn.Module):
    """A chain of `Up` blocks from the deepest map to the finest.

    Shape: maps of `channels`, finest first -> (N, channels[0] or widths[0], H, W) at the finest
        map's size.
    """

    def __init__(
        self, channels: Sequence[int], widths: Sequence[int] | None = None, **parts: Unpack[Parts]
    ) -> None:
        super().__init__()
        widths = list(widths or channels[:-1])  # channels after each block, finest first
        below = [*widths[1:], channels[-1]]
        self.ups = nn.ModuleList(
            Up(b, s, w, **parts) for b, s, w in zip(below, channels[:-1], widths, strict=True)
        )
        self.out_channels = widths[0]

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Decode `maps`, and empty the list on the way.

        In prediction each map is freed once it is joined, before finer ones are made.
        """
        x = maps.pop()
        for up in reversed(self.ups):
            x = up(x, maps.pop())
        return x
