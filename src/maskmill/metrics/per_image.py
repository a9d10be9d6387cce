"""Dice and IoU of each image, and their means over images: small and large images count the same.

These are not the scores over the split: an image with ten pixels of a class weighs as much as one
that is full of it.
"""

from types import MappingProxyType

import torch
from torch import Tensor

from maskmill.metrics import Labels, Sample, divide_or_nan
from maskmill.metrics._image_means import ImageMeans
from maskmill.metrics.confusion import confusion_matrix, matrix_margins

_DEFINITIONS = MappingProxyType({
    "image_dice/": "mean Dice of the class over the images in which it is, in truth or prediction",
    "image_iou/": "mean IoU of the class over the images in which it is, in truth or prediction",
    "image_dice_foreground": "mean of the foreground classes' image_dice",
    "image_miou_foreground": "mean of the foreground classes' image_iou",
    "image_miou": "mean of all classes' image_iou, background included",
})  # fmt: skip


class PerImage(ImageMeans):
    """Means over images of Dice and IoU, all classes."""

    definitions = _DEFINITIONS
    over_all = frozenset({"image_miou"})
    names = ("image_dice", "image_iou")

    def __init__(self, labels: Labels) -> None:
        super().__init__(labels, tuple(range(len(labels.classes))))

    def of_image(self, sample: Sample) -> Tensor:
        hits, truth, predicted = matrix_margins(
            confusion_matrix(sample.predicted, sample.truth, self._labels)
        ).chunk(3)
        return torch.stack(
            [
                divide_or_nan(2 * hits, truth + predicted),
                divide_or_nan(hits, truth + predicted - hits),
            ]
        )

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        every, ids = super().scores(totals), list(self._labels.foreground)
        dice, iou = self.means(totals).values()
        means = {
            "image_dice_foreground": dice[..., ids].nanmean(-1),
            "image_miou_foreground": iou[..., ids].nanmean(-1),
            "image_miou": iou.nanmean(-1),
        }
        return means | {name: value for name, value in every.items() if "/" in name}


def per_image(*, labels: Labels) -> PerImage:
    """Sums over images of each class's Dice and IoU, and the images that they are of."""
    return PerImage(labels)
