"""The ResNet-18 U-Net with squeeze-and-excitation (arXiv:1709.01507) in every residual block."""

from functools import partial

from torch import nn

from maskmill.errors import MaskmillError
from maskmill.models.attention import SqueezeExcite
from maskmill.models.encoders import resnet18
from maskmill.models.resnet_unet import ResNetUNet, check_widths


def se_resnet18_unet(
    *, in_channels: int, num_classes: int, width: int = 64, skip_channels: int = 8, reduction: int = 16
) -> nn.Module:
    """As `resnet18_unet`; `reduction` divides the channels of the gate's hidden layer.

    Raises: MaskmillError for fewer than 4 channels, or a reduction below 1.
    """
    check_widths("se_resnet18_unet", width=width, skip_channels=skip_channels)
    if reduction < 1:
        raise MaskmillError(f"params.yaml: models.se_resnet18_unet.reduction: got {reduction}; at least 1")
    encoder = resnet18(in_channels=in_channels, width=width, gate=partial(SqueezeExcite, reduction=reduction))
    return ResNetUNet(encoder, in_channels=in_channels, num_classes=num_classes, skip_channels=skip_channels)
