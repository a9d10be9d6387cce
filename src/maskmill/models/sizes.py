"""The size of a map after a layer, computed from its numbers alone.

These are kernel, stride, padding and dilation, as in a calculation by hand.
"""

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

Sides = tuple[int, int]  # height, width
LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d)


def sides_after(layer: nn.Module, sides: Sides) -> Sides:
    """Height and width after a convolution or pooling, from its own numbers."""
    height, width = (_side_after(_numbers(layer, axis), sides[axis]) for axis in (0, 1))
    return height, width


@dataclass(frozen=True)
class _Numbers:
    kernel: int
    stride: int
    padding: int
    dilation: int
    extra: int | None = None  # output padding of a transposed convolution
    ceil: bool = False


def _numbers(layer: nn.Module, axis: int) -> _Numbers:
    def of_axis(value: Any) -> int:
        return int(value[axis] if isinstance(value, tuple) else value)

    # a layer of any of the four kinds
    stride, padding = getattr(layer, "stride"), getattr(layer, "padding")  # noqa: B009
    return _Numbers(
        of_axis(layer.kernel_size),
        of_axis(stride),
        of_axis(padding),
        of_axis(getattr(layer, "dilation", 1)),
        of_axis(layer.output_padding) if isinstance(layer, nn.ConvTranspose2d) else None,
        bool(getattr(layer, "ceil_mode", False)),
    )


def _side_after(n: _Numbers, side: int) -> int:
    """floor((in + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.

    From torch's documentation of the four layers.
    """
    reach = n.dilation * (n.kernel - 1)
    if n.extra is not None:
        return (side - 1) * n.stride - 2 * n.padding + reach + n.extra + 1
    steps = (side + 2 * n.padding - reach - 1) / n.stride
    if not n.ceil:
        return math.floor(steps) + 1
    last = math.ceil(steps)
    # a last window that would begin outside is left out
    return last + 1 - (last * n.stride >= side + n.padding)


def size_formula(layer: nn.Module, sides: Sides) -> str:
    """The sizes after a layer as people compute them, with its numbers in place."""
    texts = [_formula(_numbers(layer, axis), f"{sides[axis]}") for axis in (0, 1)]
    if _numbers(layer, 0) == _numbers(layer, 1) and sides[0] != sides[1]:
        return _formula(_numbers(layer, 0), f"[{sides[0]}, {sides[1]}]")
    return texts[0] if texts[0] == texts[1] else " x ".join(texts)


def _formula(n: _Numbers, side: str) -> str:
    reach = f"{n.dilation}*({n.kernel} - 1)"
    if n.extra is not None:
        return f"({side} - 1)*{n.stride} - 2*{n.padding} + {reach} + {n.extra} + 1"
    return f"{'ceil' if n.ceil else 'floor'}(({side} + 2*{n.padding} - {reach} - 1)/{n.stride}) + 1"
