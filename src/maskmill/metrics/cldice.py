"""Whether thin, tree-like things hang together: centreline Dice, mean over images.

Shit et al., "clDice - a Novel Topology-Preserving Loss Function for Tubular Structure
Segmentation", sec. 2, CVPR 2021, arXiv:2003.07311. Skeletons are scikit-image's thinning (Zhang and
Suen). Ignored pixels belong to neither mask.
"""

from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from maskmill.metrics import Labels, Sample
from maskmill.metrics._image_means import ImageMeans
from maskmill.metrics._outlines import ClassMasks, cropped_masks

_DEFINITIONS = MappingProxyType({
    "cldice/": "harmonic mean of the share of the predicted skeleton inside the true mask and of "
               "the true skeleton inside the predicted mask, mean over the images in which the "
               "class is; 0 where only one of them is",
    "cldice_foreground": "mean of the foreground classes' cldice",
})  # fmt: skip


class ClDice(ImageMeans):
    """Centreline Dice of each foreground class."""

    definitions = _DEFINITIONS
    names = ("cldice",)

    def __init__(self, labels: Labels) -> None:
        super().__init__(labels, labels.foreground)

    def of_image(self, sample: Sample) -> Tensor:
        values = np.full((1, len(self._ids)), np.nan)
        for pair in cropped_masks(sample, self._labels, self._ids):
            values[:, pair.place] = _of_pair(pair)
        return torch.from_numpy(values)


def _of_pair(pair: ClassMasks) -> float:
    from skimage.morphology import skeletonize

    if not (pair.truth.any() and pair.predicted.any()):
        return 0.0
    precision = float(pair.truth[skeletonize(pair.predicted)].mean())
    sensitivity = float(pair.predicted[skeletonize(pair.truth)].mean())
    return (
        2 * precision * sensitivity / (precision + sensitivity) if precision + sensitivity else 0.0
    )


def cldice(*, labels: Labels) -> ClDice:
    """Sums over images of each class's centreline Dice, and the images that they are of."""
    return ClDice(labels)
