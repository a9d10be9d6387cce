"""A U-Net whose encoder is a ResNet, with a skip at full resolution: what the ResNet variants share."""

from torch import Tensor, nn

from maskmill.errors import MaskmillError
from maskmill.models.blocks import DoubleConv, Head, init_he
from maskmill.models.decoders import UNetDecoder
from maskmill.models.resnet import ResNetEncoder

_MIN_WIDTH = 4


class ResNetUNet(nn.Module):
    """Encoder, U-Net decoder to stride 1, head.

    The encoder's stem halves the size before anything is seen at full resolution; convolutions to `skip_channels` on
    the image itself bring the fine structure back at the last up-step.
    Shape: (N, C, H, W) -> logits (N, num_classes, H, W).
    """

    def __init__(self, encoder: ResNetEncoder, *, in_channels: int, num_classes: int, skip_channels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.full_resolution = DoubleConv(in_channels, skip_channels)
        width = encoder.channels[0]
        widths = (max(width // 2, _MIN_WIDTH), *encoder.channels[:-1])
        self.decoder = UNetDecoder((skip_channels, *encoder.channels), widths)
        self.head = Head(self.decoder.out_channels, num_classes)
        self.apply(init_he)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.full_resolution(x), *self.encoder(x)]  # strides 1, 2, 4, 8, 16, 32
        return self.head(self.decoder(maps))  # type: ignore[no-any-return]


def check_widths(name: str, **widths: int) -> None:
    """Raises: MaskmillError for an option of variant `name` with fewer than 4 channels."""
    for option, value in widths.items():
        if value < _MIN_WIDTH:
            raise MaskmillError(f"params.yaml: models.{name}.{option}: got {value}; at least {_MIN_WIDTH} channels")
