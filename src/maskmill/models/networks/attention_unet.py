"""Attention U-Net: Oktay et al., arXiv:1804.03999: attention gates on all skips of a U-Net."""

from typing import Unpack

from torch import nn

from maskmill.models.parts import BOTTLENECKS, GATES, BottleneckName, GateName
from maskmill.models.skips import AttentionGate
from maskmill.models.unet import Shape, UNet


def attention_unet(
    *,
    in_channels: int,
    num_classes: int,
    gate: GateName | None = None,
    bottleneck: BottleneckName | None = None,
    **shape: Unpack[Shape],
) -> nn.Module:
    """As `unet`, each skip behind a gate that the map below opens.

    Raises: MaskmillError for too few filters.
    """
    return UNet(
        "attention_unet",
        in_channels=in_channels,
        num_classes=num_classes,
        gate=GATES[gate],
        skip_gate=AttentionGate,
        bottleneck=BOTTLENECKS[bottleneck],
        **shape,
    )
