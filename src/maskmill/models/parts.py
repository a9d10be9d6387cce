"""The names that params.yaml has for parts: one table for each place in a network."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from maskmill.errors import MaskmillError
from maskmill.models.attention import ChannelAttention, LearnedSum, PositionAttention
from maskmill.models.blocks import Gate
from maskmill.models.decoders import BILINEAR, TRANSPOSED, Upsampling
from maskmill.models.skips import AttentionGate, OwnGate, SkipGate
from maskmill.models.squeeze_excite import ConcurrentExcite, SqueezeExcite

Bottleneck = Callable[[int], nn.Module]  # channels of the deepest map -> a module that keeps its shape

UpsamplingName = Literal["bilinear", "transposed"]
GateName = Literal["se", "scse"]
SkipGateName = Literal["attention", "se", "scse"]
BottleneckName = Literal["position_attention", "channel_attention", "dual_attention"]

UPSAMPLING: dict[UpsamplingName, Upsampling] = {"bilinear": BILINEAR, "transposed": TRANSPOSED}
GATES: dict[GateName | None, Gate | None] = {None: None, "se": SqueezeExcite, "scse": ConcurrentExcite}
SKIP_GATES: dict[SkipGateName | None, SkipGate | None] = {
    None: None,
    "attention": AttentionGate,
    "se": partial(OwnGate, gate=SqueezeExcite),
    "scse": partial(OwnGate, gate=ConcurrentExcite),
}
BOTTLENECKS: dict[BottleneckName | None, Bottleneck | None] = {
    None: None,
    "position_attention": lambda channels: LearnedSum(PositionAttention(channels)),
    "channel_attention": lambda channels: LearnedSum(ChannelAttention(channels)),
    "dual_attention": lambda channels: LearnedSum(PositionAttention(channels), ChannelAttention(channels)),
}


def check_least(name: str, least: int, what: str = "", /, **options: float | None) -> None:
    """Hold numbers of variant `name` against their least value; `what` they count is said, None is left out.

    Raises: MaskmillError naming the option, what was got and what is allowed.
    """
    for option, value in options.items():
        if value is not None and not least <= value < math.inf:  # NaN is not
            raise MaskmillError(f"params.yaml: models.{name}.{option}: got {value}; at least {least}{what}")
