"""A U-Net whose encoder is a residual network, with a skip at full resolution."""

from collections.abc import Callable
from typing import TypedDict

from torch import Tensor, nn

from maskmill.models.blocks import DoubleConv, GateFactory, Head, init_he
from maskmill.models.decoders import UNetDecoder
from maskmill.models.parts import (
    BOTTLENECKS,
    SKIP_GATES,
    UPSAMPLING,
    BottleneckName,
    SkipGateName,
    UpsamplingName,
    check_least,
)
from maskmill.models.resnet import OutputStride, ResNetEncoder
from maskmill.models.squeeze_excite import wake_gates
from maskmill.system.errors import OptionError

_MIN_WIDTH = 4


class ResNetUNetOptions(TypedDict, total=False):
    """Options of params.yaml that all of the family have."""

    width: int  # channels of the stem, 64 as in the paper if nothing is said
    skip_channels: int  # of the skip at full resolution, 8 if nothing is said; 0: there is none
    # of the last up-step, twice as much at each before it; null: those of basic blocks
    decoder_width: int | None
    # of the deep stem's first two convolutions; null, as in the paper: one 7x7 convolution
    stem_width: int | None
    # of the deepest map, 32 if nothing is said; less dilates the last stages
    output_stride: OutputStride
    upsampling: UpsamplingName  # bilinear if nothing is said
    skip_gate: SkipGateName | None
    bottleneck: BottleneckName | None


class ResNetUNet(nn.Module):
    """Encoder, U-Net decoder to stride 1, head.

    The encoder's stem halves the size before anything is seen at full resolution; convolutions to
    `skip_channels` on the image itself bring the fine structure back at the last up-step; with 0 it
    has nothing to join. If `decoder_width` does not say otherwise, the decoder has the widths of
    basic blocks (width / 2, 1, 1, 2, 4 times width) under every encoder: with those of bottlenecks
    it would cost thrice as much.
    Shape: (N, C, H, W) -> logits (N, num_classes, H, W).
    """

    def __init__(
        self,
        encoder: Callable[..., ResNetEncoder],
        *,
        in_channels: int,
        num_classes: int,
        width: int = 64,
        skip_channels: int = 8,
        decoder_width: int | None = None,
        stem_width: int | None = None,
        output_stride: OutputStride = 32,
        upsampling: UpsamplingName = "bilinear",
        gate: GateFactory | None = None,
        skip_gate: SkipGateName | None = None,
        bottleneck: BottleneckName | None = None,
    ) -> None:
        super().__init__()
        check_least(
            _MIN_WIDTH, " channels", width=width, decoder_width=decoder_width, stem_width=stem_width
        )
        if skip_channels:
            check_least(_MIN_WIDTH, " channels, or 0 for no such skip", skip_channels=skip_channels)
        if output_stride < 32 and upsampling == "transposed":
            raise OptionError(
                "upsampling: got transposed, which doubles the size at every step; "
                f"with output_stride: {output_stride} some steps keep it; "
                "set upsampling: bilinear, or output_stride: 32"
            )
        self.encoder = encoder(
            in_channels=in_channels,
            width=width,
            stem_width=stem_width,
            output_stride=output_stride,
            gate=gate,
        )
        channels = self.encoder.channels
        self.full_resolution = DoubleConv(in_channels, skip_channels) if skip_channels else None
        make = BOTTLENECKS[bottleneck]
        self.bottleneck = make(channels[-1]) if make else nn.Identity()
        self.decoder = UNetDecoder(
            (skip_channels, *channels),
            _widths(width, decoder_width),
            upsampling=UPSAMPLING[upsampling],
            skip_gate=SKIP_GATES[skip_gate],
        )
        self.head = Head(self.decoder.out_channels, num_classes)
        self.apply(init_he)
        self.decoder.apply(wake_gates)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.encoder(x)  # strides 2, 4, 8, 16, 32
        maps[-1] = self.bottleneck(maps[-1])
        # no channel: a size alone
        maps.insert(0, self.full_resolution(x) if self.full_resolution else x[:, :0])
        return self.head(self.decoder(maps))  # type: ignore[no-any-return]


def _widths(width: int, finest: int | None) -> list[int]:
    """Channels of the decoder, finest first; by default those for an encoder of basic blocks."""
    if finest is not None:
        return [2**i * finest for i in range(5)]
    return [max(width // 2, _MIN_WIDTH), width, width, 2 * width, 4 * width]
