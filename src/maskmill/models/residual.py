"""The two residual blocks, with torchvision's names of their layers."""

from torch import Tensor, nn

from maskmill.models.blocks import GateFactory


class Residual(nn.Module):
    """relu(gate(branch(x)) + shortcut(x)): what the two blocks share.

    He et al., "Deep Residual Learning for Image Recognition", eq. 1 and 2, arXiv:1512.03385. The
    shortcut is a 1x1 convolution and a norm where the shape changes (option B of sec. 3.3). The
    gate stands after the last norm and before the addition (Hu et al., arXiv:1709.01507, fig. 3).
    """

    expansion: int  # channels of the block over its `channels`
    gate: nn.Module
    downsample: nn.Module
    relu: nn.Module

    def branch(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.gate(self.branch(x))
        out += self.downsample(x)  # in place: a third map of this size is never held
        return self.relu(out)  # type: ignore[no-any-return]


class BasicBlock(Residual):
    """Two 3x3 convolutions (fig. 5, left): ResNet-18 and -34.

    `dilation` is that of the first and of the second convolution.
    Shape: (N, in_channels, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride)).
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        gate: GateFactory | None = None,
    ) -> None:
        super().__init__()
        first, second = dilation
        self.conv1 = nn.Conv2d(
            in_channels, channels, 3, stride, padding=first, dilation=first, bias=False
        )
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=second, dilation=second, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.gate = gate(channels) if gate else nn.Identity()
        self.downsample = _shortcut(in_channels, channels, stride)

    def branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.conv2(out)  # by itself: the map before it is freed
        return self.bn2(out)  # type: ignore[no-any-return]


class BottleneckBlock(Residual):
    """1x1, 3x3 and 1x1 convolutions (fig. 5, right): ResNet-50 and deeper, ResNeXt and Wide ResNet.

    The 3x3 convolution has `groups` groups of channels * group_width / 64 channels each, at least
    1: 1 x 64 in the paper, 32 x 4 in ResNeXt-50 (arXiv:1611.05431, table 1), 1 x 128 in Wide
    ResNet-50-2 (arXiv:1605.07146). It also carries the stride (not the first 1x1 as in the paper:
    so do torchvision and the public weights) and, of `dilation`, the first.
    Shape: (N, in_channels, H, W) -> (N, 4 channels, ceil(H / stride), ceil(W / stride)).
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        gate: GateFactory | None = None,
        groups: int = 1,
        group_width: int = 64,
    ) -> None:
        super().__init__()
        inner = max(channels * group_width // 64, 1) * groups
        out = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        rate = dilation[0]
        self.conv2 = nn.Conv2d(
            inner, inner, 3, stride, padding=rate, dilation=rate, groups=groups, bias=False
        )
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.gate = gate(out) if gate else nn.Identity()
        self.downsample = _shortcut(in_channels, out, stride)

    def branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.conv3(out)  # by itself: the map before it is freed
        return self.bn3(out)  # type: ignore[no-any-return]


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return nn.Sequential(projection, nn.BatchNorm2d(out_channels))
