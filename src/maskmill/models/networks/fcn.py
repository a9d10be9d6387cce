"""A plain baseline: the fully convolutional network of arXiv:1411.4038 on a small encoder.

Long et al., "Fully Convolutional Networks for Semantic Segmentation".
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from maskmill.models.blocks import DoubleConv, Head, conv_norm_relu, init_he
from maskmill.models.unet import scaled_filters

Finest = Literal[32, 16, 8, 4, 2]
_STRIDES = (2, 4, 8, 16, 32)


class FCN(nn.Module):
    """Five double convolutions with pooling; the upsampled scores of the coarse maps are added.

    Sec. 4.2 and fig. 3: each pooled map from stride 32 to stride `finest` is scored by a 1x1
    convolution, the sum of the coarser ones is brought up bilinearly and added. One 3x3 convolution
    stands for the paper's fc6 and fc7.
    Shape: (N, C, H, W) -> logits (N, num_classes, H, W).
    """

    def __init__(
        self, widths: list[int], *, in_channels: int, num_classes: int, norm: bool, finest: Finest
    ) -> None:
        super().__init__()
        before = [in_channels, *widths[:-1]]
        self.levels = nn.ModuleList(
            DoubleConv(i, o, norm=norm) for i, o in zip(before, widths, strict=True)
        )
        self.deepest = conv_norm_relu(widths[-1], widths[-1], norm=norm)
        scored = [width for width, stride in zip(widths, _STRIDES, strict=True) if stride >= finest]
        self.scores = nn.ModuleList(Head(width, num_classes) for width in scored)
        self.apply(init_he)

    def forward(self, x: Tensor) -> Tensor:
        size, maps = x.shape[-2:], []
        for level in self.levels:
            x = F.max_pool2d(level(x), 2, ceil_mode=True)  # 1/2, 1/4, 1/8, 1/16, 1/32
            maps.append(x)
        *heads, last = self.scores
        logits: Tensor = last(self.deepest(x))  # 1/32
        for head, finer in zip(reversed(heads), reversed(maps[:-1]), strict=False):
            scores = head(finer)
            logits = scores + F.interpolate(logits, size=scores.shape[-2:], mode="bilinear")
        return F.interpolate(logits, size=size, mode="bilinear")


def fcn(
    *,
    in_channels: int,
    num_classes: int,
    feature_scale: float = 1,
    batch_norm: bool = True,
    finest: Finest = 8,
) -> nn.Module:
    """FCN-32s, -16s or -8s by `finest`; 4 and 2 go on in the same way.

    The filters are those of U-Net over `feature_scale`.

    Raises: OptionError for too few filters.
    """
    widths = scaled_filters(feature_scale)
    return FCN(
        widths, in_channels=in_channels, num_classes=num_classes, norm=batch_norm, finest=finest
    )
