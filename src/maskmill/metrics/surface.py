"""How far outlines are apart: 95th percentile Hausdorff distance, normalised surface distance.

Normalised surface distance (surface Dice at a tolerance): Nikolov et al., "Deep learning to achieve
clinically applicable segmentation of head and neck anatomy for radiotherapy", arXiv:1809.04430;
here boundary pixels are counted, as MONAI does, not measured in length. All in pixels, of spacing
1; each image and class has a score, the mean is over images. What a boundary pixel is, at ignored
pixels and at the frame, says `_outlines`.
"""

import math
from types import MappingProxyType
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from maskmill.metrics import Labels, Sample
from maskmill.metrics._image_means import ImageMeans
from maskmill.metrics._outlines import ClassMasks, boundary_pixels, cropped_masks, surface_distances

_DEFINITIONS = MappingProxyType({
    "hd95/": "the larger of the 95th percentiles of the distances from predicted to true boundary "
             "and back, in pixels, mean over the images in which the class is; "
             "the image's diagonal where only one of them is there",
    "nsd/": "share of all boundary pixels, predicted and true, that lie within {tolerance:g} px "
            "of the other boundary, mean over the images in which the class is; "
            "0 where only one of them is there",
    "hd95_foreground": "mean of the foreground classes' hd95, in pixels",
    "nsd_foreground": "mean of the foreground classes' nsd",
})  # fmt: skip


class Surface(ImageMeans):
    """HD95 and normalised surface distance of each foreground class."""

    lower = frozenset({"hd95/", "hd95_foreground"})
    names = ("hd95", "nsd")

    def __init__(self, labels: Labels, tolerance_px: float) -> None:
        super().__init__(labels, labels.foreground)
        self._tolerance_px = tolerance_px
        self.definitions = {
            name: text.format(tolerance=tolerance_px) for name, text in _DEFINITIONS.items()
        }

    def of_image(self, sample: Sample) -> Tensor:
        diagonal_px = math.hypot(*sample.truth.shape)
        values = np.full((2, len(self._ids)), np.nan)
        for pair in cropped_masks(sample, self._labels, self._ids):
            values[:, pair.place] = _of_pair(pair, self._tolerance_px, diagonal_px)
        return torch.from_numpy(values)


def _of_pair(pair: ClassMasks, tolerance_px: float, missing_px: float) -> tuple[float, float]:
    """HD95 and NSD: NaN where neither has a boundary, `missing_px` and 0 where only one has."""
    predicted, truth = (
        boundary_pixels(pair.predicted),
        boundary_pixels(pair.truth),
    )
    if not (predicted.any() and truth.any()):
        return (missing_px, 0.0) if predicted.any() or truth.any() else (math.nan, math.nan)
    there, back = surface_distances(predicted, truth)
    hd95 = max(float(np.percentile(d, 95)) for d in (there, back))
    within = np.count_nonzero(there <= tolerance_px) + np.count_nonzero(back <= tolerance_px)
    return hd95, within / (len(there) + len(back))


def surface(*, labels: Labels, tolerance_px: Annotated[float, Field(ge=0)] = 2.0) -> Surface:
    """Sums over images of each class's HD95 and normalised surface distance.

    The number of images stands beside them.
    """
    return Surface(labels, tolerance_px)
