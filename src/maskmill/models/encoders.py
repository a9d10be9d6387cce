"""Residual encoders, named as in torchvision and with its state-dict keys.

An encoder gives five maps at strides 2, 4, 8, 16, 32 and says their `.channels` and `.strides`.
Sources and options: maskmill.models.resnet. Weights are torch's own at first: whoever makes a
network of it initialises all once (`blocks.init_he`), as the variants and `classifiers` do.
"""

from typing import Unpack

from maskmill.models.resnet import LAYOUTS, ResNetEncoder, ResNetOptions


def resnet18(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """ResNet-18: two basic blocks per stage."""
    return ResNetEncoder(LAYOUTS["resnet18"], in_channels=in_channels, **options)


def resnet34(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """ResNet-34: 3, 4, 6, 3 basic blocks."""
    return ResNetEncoder(LAYOUTS["resnet34"], in_channels=in_channels, **options)


def resnet50(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """ResNet-50: 3, 4, 6, 3 bottleneck blocks."""
    return ResNetEncoder(LAYOUTS["resnet50"], in_channels=in_channels, **options)


def resnet101(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """ResNet-101: 3, 4, 23, 3 bottleneck blocks."""
    return ResNetEncoder(LAYOUTS["resnet101"], in_channels=in_channels, **options)


def resnet152(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """ResNet-152: 3, 8, 36, 3 bottleneck blocks."""
    return ResNetEncoder(LAYOUTS["resnet152"], in_channels=in_channels, **options)


def resnext50_32x4d(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """ResNeXt-50: ResNet-50 with 32 groups of 4 channels in stage 1's 3x3 convolutions."""
    return ResNetEncoder(LAYOUTS["resnext50_32x4d"], in_channels=in_channels, **options)


def resnext101_32x8d(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """ResNeXt-101: ResNet-101 with 32 groups of 8 channels in stage 1's 3x3 convolutions."""
    return ResNetEncoder(LAYOUTS["resnext101_32x8d"], in_channels=in_channels, **options)


def wide_resnet50_2(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """Wide ResNet-50-2: as ResNet-50, with twice the channels in the 3x3 convolutions."""
    return ResNetEncoder(LAYOUTS["wide_resnet50_2"], in_channels=in_channels, **options)


def wide_resnet101_2(*, in_channels: int, **options: Unpack[ResNetOptions]) -> ResNetEncoder:
    """Wide ResNet-101-2: as ResNet-101, with twice the channels in the 3x3 convolutions."""
    return ResNetEncoder(LAYOUTS["wide_resnet101_2"], in_channels=in_channels, **options)
