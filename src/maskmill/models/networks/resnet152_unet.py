"""A U-Net with a ResNet-152 encoder (arXiv:1512.03385) and a full-resolution skip."""

from typing import Unpack

from torch import nn

from maskmill.models.encoders import resnet152
from maskmill.models.parts import GATES, GateName
from maskmill.models.resnet_unet import Options, ResNetUNet


def resnet152_unet(
    *, in_channels: int, num_classes: int, gate: GateName | None = None, **options: Unpack[Options]
) -> nn.Module:
    """The encoder of the papers, with `gate` in every residual block.

    Raises: MaskmillError for fewer than 4 channels, or options that do not go together.
    """
    return ResNetUNet(
        "resnet152_unet", resnet152, in_channels=in_channels, num_classes=num_classes, gate=GATES[gate], **options
    )
