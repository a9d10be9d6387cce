"""A U-Net with a ResNeXt-50 32x4d encoder (arXiv:1611.05431) and a full-resolution skip."""

from typing import Unpack

from torch import nn

from maskmill.models.encoders import resnext50_32x4d
from maskmill.models.parts import GATES, GateName
from maskmill.models.resnet_unet import Options, ResNetUNet


def resnext50_unet(
    *, in_channels: int, num_classes: int, gate: GateName | None = None, **options: Unpack[Options]
) -> nn.Module:
    """The encoder of the papers, with `gate` in every residual block.

    Raises: MaskmillError for fewer than 4 channels, or options that do not go together.
    """
    return ResNetUNet(
        "resnext50_unet", resnext50_32x4d, in_channels=in_channels, num_classes=num_classes, gate=GATES[gate], **options
    )
