"""A U-Net with a residual encoder (arXiv:1512.03385) and a skip at full resolution."""

from typing import Unpack

from torch import nn

from maskmill.models.parts import ENCODERS, EncoderName, GateName, gate_named
from maskmill.models.resnet_unet import ResNetUNet, ResNetUNetOptions


def resnet_unet(
    *,
    in_channels: int,
    num_classes: int,
    encoder: EncoderName = "resnet34",
    gate: GateName | None = None,
    reduction: int | None = None,
    **options: Unpack[ResNetUNetOptions],
) -> nn.Module:
    """`encoder` by torchvision's name, with `gate` in every residual block.

    `reduction` divides the channels of the gate's hidden layer; null: by 16 for se, by 2 for scse.
    Raises: OptionError for fewer than 4 channels, a reduction below 1, or options that do not go
        together.
    """
    return ResNetUNet(
        ENCODERS[encoder],
        in_channels=in_channels,
        num_classes=num_classes,
        gate=gate_named(gate, reduction),
        **options,
    )
