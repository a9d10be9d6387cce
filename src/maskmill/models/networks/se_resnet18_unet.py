"""The ResNet-18 U-Net with squeeze-and-excitation (arXiv:1709.01507) in every residual block."""

from functools import partial
from typing import Unpack

from torch import nn

from maskmill.models.encoders import resnet18
from maskmill.models.parts import check_least
from maskmill.models.resnet_unet import Options, ResNetUNet
from maskmill.models.squeeze_excite import SqueezeExcite


def se_resnet18_unet(
    *, in_channels: int, num_classes: int, reduction: int = 16, **options: Unpack[Options]
) -> nn.Module:
    """As `resnet18_unet`; `reduction` divides the channels of the gate's hidden layer.

    Raises: MaskmillError for fewer than 4 channels, a reduction below 1, or options that do not go together.
    """
    check_least("se_resnet18_unet", 1, reduction=reduction)
    gate = partial(SqueezeExcite, reduction=reduction)
    return ResNetUNet(
        "se_resnet18_unet", resnet18, in_channels=in_channels, num_classes=num_classes, gate=gate, **options
    )
