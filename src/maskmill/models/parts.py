"""The names that params.yaml has for parts: one table for each place in a network."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from maskmill.models import encoders
from maskmill.models.attention import ChannelAttention, LearnedSum, PositionAttention
from maskmill.models.blocks import GateFactory
from maskmill.models.decoders import BILINEAR, TRANSPOSED, Upsampling
from maskmill.models.resnet import ResNetEncoder
from maskmill.models.skips import AttentionGate, OwnGate, SkipGate
from maskmill.models.squeeze_excite import ConcurrentExcite, SqueezeExcite
from maskmill.system.errors import OptionError

# channels of the deepest map -> a module that keeps its shape
Bottleneck = Callable[[int], nn.Module]

EncoderName = Literal[
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2",
]  # fmt: skip
UpsamplingName = Literal["bilinear", "transposed"]
GateName = Literal["se", "scse"]
SkipGateName = Literal["attention", "se", "scse"]
BottleneckName = Literal["position_attention", "channel_attention", "dual_attention"]

ENCODERS: dict[EncoderName, Callable[..., ResNetEncoder]] = {
    "resnet18": encoders.resnet18,
    "resnet34": encoders.resnet34,
    "resnet50": encoders.resnet50,
    "resnet101": encoders.resnet101,
    "resnet152": encoders.resnet152,
    "resnext50_32x4d": encoders.resnext50_32x4d,
    "resnext101_32x8d": encoders.resnext101_32x8d,
    "wide_resnet50_2": encoders.wide_resnet50_2,
    "wide_resnet101_2": encoders.wide_resnet101_2,
}
UPSAMPLING: dict[UpsamplingName, Upsampling] = {"bilinear": BILINEAR, "transposed": TRANSPOSED}
GATES: dict[GateName | None, GateFactory | None] = {
    None: None,
    "se": SqueezeExcite,
    "scse": ConcurrentExcite,
}
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
    "dual_attention": lambda channels: LearnedSum(
        PositionAttention(channels), ChannelAttention(channels)
    ),
}


def gate_named(name: GateName | None, reduction: int | None) -> GateFactory | None:
    """The gate `name`, with its hidden layer's `reduction`; None for the paper's.

    Raises: OptionError for a reduction below 1, or one that has no gate.
    """
    check_least(1, reduction=reduction)
    gate = GATES[name]
    if reduction is None:
        return gate
    if gate is None:
        raise OptionError(
            f"reduction: got {reduction}, which has no gate to act on; set gate: se, or delete it"
        )
    return partial(gate, reduction=reduction)  # type: ignore[call-arg]  # both of the table have it


def check_least(least: int, what: str = "", /, **options: float | None) -> None:
    """Hold numbers against their least value; `what` they count is said, None is left out.

    Raises: OptionError naming the option, what was got and what is allowed.
    """
    for option, value in options.items():
        if value is not None and not least <= value < math.inf:  # NaN is not
            raise OptionError(f"{option}: got {value}; at least {least}{what}")
