"""U-Net: Ronneberger et al., arXiv:1505.04597."""

from typing import Unpack

from torch import nn

from maskmill.models.parts import (
    BOTTLENECKS,
    SKIP_GATES,
    BottleneckName,
    GateName,
    SkipGateName,
    gate_named,
)
from maskmill.models.unet import Shape, UNet


def unet(
    *,
    in_channels: int,
    num_classes: int,
    gate: GateName | None = None,
    reduction: int | None = None,
    skip_gate: SkipGateName | None = None,
    bottleneck: BottleneckName | None = None,
    **shape: Unpack[Shape],
) -> nn.Module:
    """The paper's filters 64..1024 over `feature_scale`; parts by name.

    `gate` stands at the end of every double convolution, `skip_gate` on every skip, `bottleneck`
    after the deepest map. `reduction` divides the channels of the gate's hidden layer; null: by 16
    for se, by 2 for scse.
    Raises: OptionError when fewer than 4 filters are left at the top, or for a reduction below 1.
    """
    return UNet(
        in_channels=in_channels,
        num_classes=num_classes,
        gate=gate_named(gate, reduction),
        skip_gate=SKIP_GATES[skip_gate],
        bottleneck=BOTTLENECKS[bottleneck],
        **shape,
    )
