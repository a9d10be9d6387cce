"""Residual encoders, named as in torchvision and with its state-dict keys.

An encoder gives five maps at strides 2, 4, 8, 16, 32 and says their `.channels` and `.strides`.
He et al., "Deep Residual Learning for Image Recognition", arXiv:1512.03385, table 1 and fig. 5.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

Gate = Callable[[int], nn.Module]  # channels -> a module that keeps the shape


class BasicBlock(nn.Module):
    """relu(gate(norm(conv(relu(norm(conv(x)))))) + shortcut(x)), two 3x3 convolutions.

    Sec. 3.3. The gate stands after the last norm and before the addition (arXiv:1709.01507, fig. 3).
    Shape: (N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1, gate: Gate | None = None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.gate = gate(channels) if gate else nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            projection = nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.gate(self.bn2(self.conv2(out)))
        out = out + self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class ResNetEncoder(nn.Module):
    """7x7 stem, max-pooling, and four stages of blocks.

    Shape: (N, C, H, W) -> five maps of `channels` at `strides`, sizes rounded up.
    """

    strides = (2, 4, 8, 16, 32)

    def __init__(self, blocks: Sequence[int], *, in_channels: int, width: int, gate: Gate | None) -> None:
        super().__init__()
        self.channels = (width, width, 2 * width, 4 * width, 8 * width)
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        for stage, (count, before, channels) in enumerate(
            zip(blocks, self.channels[:-1], self.channels[1:], strict=True), start=1
        ):
            first = BasicBlock(before, channels, stride=1 if stage == 1 else 2, gate=gate)
            rest = [BasicBlock(channels, channels, gate=gate) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.relu(self.bn1(self.conv1(x)))]  # 1/2
        x = self.maxpool(maps[0])
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)  # 1/4, 1/8, 1/16, 1/32
            maps.append(x)
        return maps


def resnet18(*, in_channels: int, width: int = 64, gate: Gate | None = None) -> ResNetEncoder:
    """ResNet-18: two basic blocks per stage (table 1). `width` is the stem's number of channels, 64 in the paper."""
    return ResNetEncoder((2, 2, 2, 2), in_channels=in_channels, width=width, gate=gate)
