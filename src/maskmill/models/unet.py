"""U-Net, Ronneberger et al., arXiv:1505.04597: what its variants share."""

from collections.abc import Sequence
from typing import TypedDict

import torch.nn.functional as F
from torch import Tensor, nn

from maskmill.models.blocks import DoubleConv, GateFactory, Head, init_he
from maskmill.models.decoders import UNetDecoder
from maskmill.models.parts import UPSAMPLING, Bottleneck, UpsamplingName
from maskmill.models.skips import SkipGate
from maskmill.models.squeeze_excite import wake_gates
from maskmill.system.errors import OptionError

FILTERS = (64, 128, 256, 512, 1024)  # the paper's, fig. 1
_MIN_FILTERS = 4


class Shape(TypedDict, total=False):
    """Options of params.yaml that all of the family have."""

    feature_scale: float  # the paper's filters over this, 1 if nothing is said
    batch_norm: bool  # after every convolution, in both halves; true if nothing is said
    upsampling: UpsamplingName  # bilinear if nothing is said


class Levels(nn.ModuleList):
    """The contracting half: double convolutions, with max-pooling between them.

    Sizes are rounded up: an odd side loses nothing, and one of 1 px stays 1 px.
    Shape: (N, C, H, W) -> maps of `scaled_filters` at strides 1, 2, 4, ..
    """

    def __init__(
        self,
        filters: Sequence[int],
        *,
        in_channels: int,
        norm: bool,
        gate: GateFactory | None = None,
    ) -> None:
        before = [in_channels, *filters[:-1]]
        super().__init__(
            DoubleConv(i, o, norm=norm, gate=gate) for i, o in zip(before, filters, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps: list[Tensor] = []
        for level in self:
            x = level(F.max_pool2d(x, 2, ceil_mode=True) if maps else x)
            maps.append(x)
        return maps


class UNet(nn.Module):
    """Five levels of double convolutions, four poolings, four up-steps with skips.

    `gate` stands at the end of every double convolution, `skip_gate` on every skip, `bottleneck`
    after the deepest map.
    Shape: (N, C, H, W) -> logits (N, num_classes, H, W).
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        feature_scale: float = 1,
        batch_norm: bool = True,
        upsampling: UpsamplingName = "bilinear",
        gate: GateFactory | None = None,
        skip_gate: SkipGate | None = None,
        bottleneck: Bottleneck | None = None,
    ) -> None:
        super().__init__()
        widths = scaled_filters(feature_scale)
        self.levels = Levels(widths, in_channels=in_channels, norm=batch_norm, gate=gate)
        self.bottleneck = bottleneck(widths[-1]) if bottleneck else nn.Identity()
        self.decoder = UNetDecoder(
            widths,
            norm=batch_norm,
            upsampling=UPSAMPLING[upsampling],
            gate=gate,
            skip_gate=skip_gate,
        )
        self.head = Head(self.decoder.out_channels, num_classes)
        self.apply(init_he).apply(wake_gates)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.levels(x)
        maps[-1] = self.bottleneck(maps[-1])
        return self.head(self.decoder(maps))  # type: ignore[no-any-return]


def scaled_filters(feature_scale: float) -> list[int]:
    """The paper's filters 64..1024 over `feature_scale`, rounded down.

    Raises: OptionError when that leaves fewer than 4 at the top.
    """
    if not 1 <= feature_scale <= FILTERS[0] / _MIN_FILTERS:  # NaN is not
        raise OptionError(
            f"feature_scale: got {feature_scale}, which leaves {FILTERS[0]}/{feature_scale} "
            f"filters at the top level; allowed are 1 to {FILTERS[0] // _MIN_FILTERS}"
        )
    return [int(f / feature_scale) for f in FILTERS]
