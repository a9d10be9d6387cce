"""Residual networks with torchvision's state-dict keys: encoder, stems, table of layouts.

He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1; Xie et al.,
"Aggregated Residual Transformations", arXiv:1611.05431; Zagoruyko and Komodakis, "Wide Residual
Networks", arXiv:1605.07146.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, TypedDict

from torch import Tensor, nn

from maskmill.models.blocks import GateFactory
from maskmill.models.residual import BasicBlock, BottleneckBlock, Residual

OutputStride = Literal[32, 16, 8]
STRIDES = (2, 4, 8, 16, 32)  # of the five maps, where nothing is dilated


class ResNetLayout(NamedTuple):
    """A column of table 1."""

    block: Callable[..., Residual]
    expansion: int  # channels of a block over those of its 3x3 convolution
    counts: tuple[int, int, int, int]  # blocks in each stage


class ResNetOptions(TypedDict, total=False):
    """What every residual network can be asked for."""

    width: int  # channels of the stem, 64 in the papers; all others follow
    stem_width: int | None  # of the deep stem's first two convolutions; None: one 7x7 convolution
    # of the last map; below 32, dilation takes the place of the last strides
    output_stride: OutputStride
    gate: GateFactory | None  # in every block


class ResNetEncoder(nn.Module):
    """A stem, max-pooling, and four stages of blocks.

    With `output_stride` 16 or 8 the last one or two stages keep their size, and their 3x3
    convolutions are dilated so that each weight meets the values that it would have met (Chen et
    al., arXiv:1706.05587, sec. 3.1).
    Shape: (N, C, H, W) -> five maps of `channels` at `strides`, sizes rounded up.
    """

    def __init__(
        self,
        layout: ResNetLayout,
        *,
        in_channels: int,
        width: int = 64,
        stem_width: int | None = None,
        output_stride: OutputStride = 32,
        gate: GateFactory | None = None,
    ) -> None:
        super().__init__()
        planes = (width, 2 * width, 4 * width, 8 * width)
        self.channels = (width, *(p * layout.expansion for p in planes))
        self.strides = tuple(min(stride, output_stride) for stride in STRIDES)
        self.conv1 = (
            deep_stem(in_channels, stem_width, width)
            if stem_width
            else seven_stem(in_channels, width)
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        dilation = 1
        for stage, (count, channels) in enumerate(zip(layout.counts, planes, strict=True), start=1):
            stride = self.strides[stage] // self.strides[stage - 1] if stage > 1 else 1
            before = dilation
            dilation = STRIDES[stage] // self.strides[stage]
            make = partial(layout.block, channels=channels, gate=gate)
            first = make(self.channels[stage - 1], stride=stride, dilation=(before, dilation))
            rest = [
                make(self.channels[stage], dilation=(dilation, dilation)) for _ in range(count - 1)
            ]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.relu(self.bn1(self.conv1(x)))]  # 1/2
        x = self.maxpool(maps[0])
        for stage in range(1, 5):
            # 1/4, 1/8, 1/16, 1/32, or no smaller than 1/output_stride
            x = self.get_submodule(f"layer{stage}")(x)
            maps.append(x)
        return maps


def seven_stem(in_channels: int, width: int) -> nn.Conv2d:
    """One 7x7 convolution.

    Shape: (N, in_channels, H, W) -> (N, width, ceil(H / 2), ceil(W / 2)).
    """
    return nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)


def deep_stem(in_channels: int, stem_width: int, width: int) -> nn.Sequential:
    """Three 3x3 convolutions in place of the 7x7 one.

    The norm and ReLU of the last are the encoder's.

    He et al., "Bag of Tricks for Image Classification", ResNet-C, fig. 2b, arXiv:1812.01187.
    Shape: (N, in_channels, H, W) -> (N, width, ceil(H / 2), ceil(W / 2)).
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, stem_width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(stem_width),
        nn.ReLU(inplace=True),
        nn.Conv2d(stem_width, stem_width, 3, padding=1, bias=False),
        nn.BatchNorm2d(stem_width),
        nn.ReLU(inplace=True),
        nn.Conv2d(stem_width, width, 3, padding=1, bias=False),
    )


def _basic(*counts: int) -> ResNetLayout:
    return ResNetLayout(BasicBlock, BasicBlock.expansion, counts)  # type: ignore[arg-type]


def _bottlenecks(*counts: int, groups: int = 1, group_width: int = 64) -> ResNetLayout:
    block = partial(BottleneckBlock, groups=groups, group_width=group_width)
    return ResNetLayout(block, BottleneckBlock.expansion, counts)  # type: ignore[arg-type]


LAYOUTS = {
    "resnet18": _basic(2, 2, 2, 2),
    "resnet34": _basic(3, 4, 6, 3),
    "resnet50": _bottlenecks(3, 4, 6, 3),
    "resnet101": _bottlenecks(3, 4, 23, 3),
    "resnet152": _bottlenecks(3, 8, 36, 3),
    "resnext50_32x4d": _bottlenecks(3, 4, 6, 3, groups=32, group_width=4),
    "resnext101_32x8d": _bottlenecks(3, 4, 23, 3, groups=32, group_width=8),
    "wide_resnet50_2": _bottlenecks(3, 4, 6, 3, group_width=128),
    "wide_resnet101_2": _bottlenecks(3, 4, 23, 3, group_width=128),
}
