"""U-Net: Ronneberger et al., arXiv:1505.04597."""

from torch import Tensor, nn

from maskmill.errors import MaskmillError
from maskmill.models.blocks import DoubleConv, Head, init_he
from maskmill.models.decoders import UNetDecoder

FILTERS = (64, 128, 256, 512, 1024)  # the paper's, fig. 1
_MIN_FILTERS = 4


class UNet(nn.Module):
    """Five levels of double convolutions, four poolings, four up-steps with skips.

    Shape: (N, C, H, W) -> logits (N, num_classes, H, W).
    """

    def __init__(self, filters: list[int], *, in_channels: int, num_classes: int, norm: bool) -> None:
        super().__init__()
        before = [in_channels, *filters[:-1]]
        self.levels = nn.ModuleList(DoubleConv(i, o, norm=norm) for i, o in zip(before, filters, strict=True))
        self.pool = nn.MaxPool2d(2, ceil_mode=True)  # ceil: a side of 1 px stays 1 px
        self.decoder = UNetDecoder(filters, norm=norm)
        self.head = Head(self.decoder.out_channels, num_classes)
        self.apply(init_he)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for depth, level in enumerate(self.levels):
            x = level(self.pool(x) if depth else x)  # (N, filters[depth], H / 2^depth, W / 2^depth)
            maps.append(x)
        return self.head(self.decoder(maps))  # type: ignore[no-any-return]


def unet(*, in_channels: int, num_classes: int, feature_scale: int = 1, batch_norm: bool = True) -> nn.Module:
    """The paper's filters 64..1024 over `feature_scale`.

    Raises: MaskmillError when that leaves fewer than 4 filters at the top.
    """
    if feature_scale < 1 or FILTERS[0] // feature_scale < _MIN_FILTERS:
        raise MaskmillError(
            f"params.yaml: models.unet.feature_scale: got {feature_scale}, which leaves {FILTERS[0]}/{feature_scale} "
            f"filters at the top level; allowed are 1 to {FILTERS[0] // _MIN_FILTERS}"
        )
    filters = [f // feature_scale for f in FILTERS]
    return UNet(filters, in_channels=in_channels, num_classes=num_classes, norm=batch_norm)
