"""The convolutions that all networks are made of, and how their weights start."""

from collections.abc import Callable

from torch import nn

# channels -> a module that keeps the shape, (N, channels, H, W)
GateFactory = Callable[[int], nn.Module]


def conv_norm_relu(in_channels: int, out_channels: int, *, norm: bool = True) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU. The convolution has a bias only where no norm follows.

    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=not norm)
    return nn.Sequential(
        conv, *([nn.BatchNorm2d(out_channels)] if norm else []), nn.ReLU(inplace=True)
    )


class DoubleConv(nn.Sequential):
    """Twice 3x3 convolution, norm, ReLU; then the gate, where there is one.

    Ronneberger et al., "U-Net", sec. 2, arXiv:1505.04597, padded so that the size stays.
    Shape: (N, in_channels, H, W) -> (N, out_channels, H, W).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        norm: bool = True,
        gate: GateFactory | None = None,
    ) -> None:
        first = conv_norm_relu(in_channels, out_channels, norm=norm)
        second = conv_norm_relu(out_channels, out_channels, norm=norm)
        super().__init__(*first, *second, *([gate(out_channels)] if gate else []))


def init_he(module: nn.Module) -> None:
    """Initialise one layer, for `Module.apply`.

    Convolutions are He-normal, the weights of batch norm N(1, 0.02), biases 0.

    He et al., "Delving Deep into Rectifiers", sec. 2.2, arXiv:1502.01852.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class Head(nn.Conv2d):
    """1x1 convolution to one logit per class.

    Shape: (N, channels, H, W) -> (N, num_classes, H, W).
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(channels, num_classes, 1)
