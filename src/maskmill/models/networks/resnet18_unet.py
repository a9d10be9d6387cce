"""A U-Net with a ResNet-18 encoder (arXiv:1512.03385) and a full-resolution skip."""

from torch import nn

from maskmill.models.encoders import resnet18
from maskmill.models.resnet_unet import ResNetUNet, check_widths


def resnet18_unet(*, in_channels: int, num_classes: int, width: int = 64, skip_channels: int = 8) -> nn.Module:
    """`width` channels in the stem (64 in the paper), `skip_channels` in the full-resolution skip.

    Raises: MaskmillError for fewer than 4 channels.
    """
    check_widths("resnet18_unet", width=width, skip_channels=skip_channels)
    encoder = resnet18(in_channels=in_channels, width=width)
    return ResNetUNet(encoder, in_channels=in_channels, num_classes=num_classes, skip_channels=skip_channels)
