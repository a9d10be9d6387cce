"""U-Net: Ronneberger et al., arXiv:1505.04597."""

from typing import Unpack

from torch import nn

from maskmill.models.parts import BOTTLENECKS, GATES, SKIP_GATES, BottleneckName, GateName, SkipGateName
from maskmill.models.unet import Shape, UNet


def unet(
    *,
    in_channels: int,
    num_classes: int,
    gate: GateName | None = None,
    skip_gate: SkipGateName | None = None,
    bottleneck: BottleneckName | None = None,
    **shape: Unpack[Shape],
) -> nn.Module:
    """The paper's filters 64..1024 over `feature_scale`; parts by name.

    Raises: MaskmillError when that leaves fewer than 4 filters at the top.
    """
    return UNet(
        "unet",
        in_channels=in_channels,
        num_classes=num_classes,
        gate=GATES[gate],
        skip_gate=SKIP_GATES[skip_gate],
        bottleneck=BOTTLENECKS[bottleneck],
        **shape,
    )
