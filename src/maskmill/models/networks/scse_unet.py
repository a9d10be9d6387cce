"""U-Net with concurrent spatial and channel excitation (arXiv:1803.02579) in every double convolution."""

from functools import partial
from typing import Unpack

from torch import nn

from maskmill.models.parts import BOTTLENECKS, SKIP_GATES, BottleneckName, SkipGateName, check_least
from maskmill.models.squeeze_excite import ConcurrentExcite
from maskmill.models.unet import Shape, UNet


def scse_unet(
    *,
    in_channels: int,
    num_classes: int,
    reduction: int = 2,
    skip_gate: SkipGateName | None = None,
    bottleneck: BottleneckName | None = None,
    **shape: Unpack[Shape],
) -> nn.Module:
    """As `unet`; `reduction` divides the channels of the gates' hidden layer.

    Raises: MaskmillError for too few filters, or a reduction below 1.
    """
    check_least("scse_unet", 1, reduction=reduction)
    return UNet(
        "scse_unet",
        in_channels=in_channels,
        num_classes=num_classes,
        gate=partial(ConcurrentExcite, reduction=reduction),
        skip_gate=SKIP_GATES[skip_gate],
        bottleneck=BOTTLENECKS[bottleneck],
        **shape,
    )
