"""U-Net with self-attention after its deepest map.

It attends over positions (arXiv:1711.07971), channels (arXiv:1809.02983) or both.
"""

from functools import partial
from typing import Literal, Unpack

from torch import nn

from maskmill.models.attention import (
    ChannelAttention,
    LearnedSum,
    PositionAttention,
    SimilarityName,
)
from maskmill.models.parts import (
    SKIP_GATES,
    Bottleneck,
    GateName,
    SkipGateName,
    check_least,
    gate_named,
)
from maskmill.models.unet import Shape, UNet, scaled_filters
from maskmill.system.errors import OptionError

Over = Literal["positions", "channels", "both"]
_POOL = 2


def self_attention_unet(
    *,
    in_channels: int,
    num_classes: int,
    over: Over = "positions",
    similarity: SimilarityName = "scaled_dot",
    heads: int = 1,
    pool: int | None = None,
    gate: GateName | None = None,
    reduction: int | None = None,
    skip_gate: SkipGateName | None = None,
    **shape: Unpack[Shape],
) -> nn.Module:
    """As `unet`; attention over positions pools keys and values by `pool`, 2 by default.

    Raises: OptionError for too few filters, or options that do not go together.
    """
    check_least(1, heads=heads, pool=pool)
    width = scaled_filters(shape.get("feature_scale", 1))[-1]
    if over != "channels" and heads > width // 2:
        raise OptionError(
            f"heads: got {heads}, which leaves no feature of the {width // 2} for each; "
            f"at most {width // 2}"
        )
    if over != "positions":
        _check_channels(similarity, heads, width)
    if over == "channels" and pool is not None:
        raise OptionError(f"pool: got {pool}, which over: channels has no use for; delete it")
    positions = partial(PositionAttention, similarity=similarity, heads=heads, pool=pool or _POOL)
    channels = partial(ChannelAttention, similarity=similarity, heads=heads)
    branches: dict[Over, tuple[Bottleneck, ...]]
    branches = {"positions": (positions,), "channels": (channels,), "both": (positions, channels)}
    return UNet(
        in_channels=in_channels,
        num_classes=num_classes,
        gate=gate_named(gate, reduction),
        skip_gate=SKIP_GATES[skip_gate],
        bottleneck=lambda width: LearnedSum(*(make(width) for make in branches[over])),
        **shape,
    )


def _check_channels(similarity: SimilarityName, heads: int, width: int) -> None:
    if similarity == "additive":
        raise OptionError(
            "similarity: got additive, which would learn a weight for each position, whose number "
            "follows the image; over channels take dot, scaled_dot or cosine, or set over: "
            "positions"
        )
    if width % heads:
        raise OptionError(
            f"heads: got {heads}, which does not divide the {width} channels of the deepest map; "
            "take another"
        )
