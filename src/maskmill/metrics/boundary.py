"""Whether outlines are in the right place: boundary F1 and boundary IoU, means over images.

Boundary F1: Csurka et al., "What is a good evaluation measure for semantic segmentation?", sec. 3,
BMVC 2013.
Boundary IoU: Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation",
sec. 4, arXiv:2103.16562. Both compare one pair of masks, so each image and class has a score and
the mean is over images.
What a boundary pixel is, at ignored pixels and at the frame, says `_outlines`.
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
from maskmill.metrics._outlines import (
    ClassMasks,
    boundary_band,
    boundary_pixels,
    cropped_masks,
    surface_distances,
)
from maskmill.system.errors import MaskmillError

_DEFINITIONS = MappingProxyType({
    "boundary_f1/": "harmonic mean of the shares of predicted and true boundary pixels of the "
                    "class that lie within {tolerance} of the other boundary, mean over the "
                    "images in which the class is; 0 where only one of them is there",
    "boundary_iou/": "IoU of the pixels of truth and prediction that lie within {band} of their "
                     "own boundary, mean over the images in which the class is; "
                     "0 where only one of them is there",
    "boundary_f1_foreground": "mean of the foreground classes' boundary_f1",
    "boundary_iou_foreground": "mean of the foreground classes' boundary_iou",
})  # fmt: skip


class Boundary(ImageMeans):
    """Boundary F1 within a tolerance and boundary IoU within a band, of each foreground class."""

    names = ("boundary_f1", "boundary_iou")

    def __init__(
        self, labels: Labels, tolerance_px: float | None, tolerance_share: float, band_share: float
    ) -> None:
        super().__init__(labels, labels.foreground)
        self._tolerance_px, self._tolerance_share, self._band_share = (
            tolerance_px,
            tolerance_share,
            band_share,
        )
        tolerance = (
            f"{100 * tolerance_share:g} % of the diagonal"
            if tolerance_px is None
            else f"{tolerance_px:g} px"
        )
        band = f"{100 * band_share:g} % of the diagonal"
        self.definitions = {
            name: text.format(tolerance=tolerance, band=band) for name, text in _DEFINITIONS.items()
        }

    def of_image(self, sample: Sample) -> Tensor:
        diagonal_px = math.hypot(*sample.truth.shape)
        tolerance_px = self._tolerance_px
        if tolerance_px is None:
            tolerance_px = self._tolerance_share * diagonal_px
        width_px = max(1, round(self._band_share * diagonal_px))
        values = np.full((2, len(self._ids)), np.nan)
        for pair in cropped_masks(sample, self._labels, self._ids, width_px + 1):
            values[:, pair.place] = _f1(pair, tolerance_px), _iou(pair, width_px)
        values[:, np.isnan(values[0])] = np.nan  # both scores count the same images
        return torch.from_numpy(values)


def _f1(pair: ClassMasks, tolerance_px: float) -> float:
    """NaN where neither has a boundary, 0 where only one has."""
    predicted, truth = (boundary_pixels(mask) for mask in (pair.predicted, pair.truth))
    if not (predicted.any() and truth.any()):
        return 0.0 if predicted.any() or truth.any() else math.nan
    precision, recall = (
        float((d <= tolerance_px).mean()) for d in surface_distances(predicted, truth)
    )
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _iou(pair: ClassMasks, width_px: int) -> float:
    """NaN where neither has a boundary."""
    predicted, truth = (boundary_band(mask, width_px) for mask in (pair.predicted, pair.truth))
    union = np.count_nonzero(predicted | truth)
    return np.count_nonzero(predicted & truth) / union if union else math.nan


def boundary(
    *,
    labels: Labels,
    tolerance_px: Annotated[float, Field(ge=0)] | None = None,
    tolerance_share: Annotated[float, Field(gt=0, le=0.1)] | None = None,
    band_share: Annotated[float, Field(gt=0, le=0.5)] = 0.02,
) -> Boundary:
    """Sums over images of each class's boundary F1 and boundary IoU, and the number of images.

    The tolerance of boundary F1 is `tolerance_px`, or `tolerance_share` of the image's diagonal:
    0.0075 if neither is given. The band of boundary IoU is `band_share` of the diagonal wide, 1 px
    at least.

    Raises: MaskmillError when both tolerances are given.
    """
    if tolerance_px is not None and tolerance_share is not None:
        raise MaskmillError(
            f"params.yaml: metrics.boundary: got tolerance_px {tolerance_px:g} and tolerance_share "
            f"{tolerance_share:g}; only one of them is allowed; delete one"
        )
    return Boundary(
        labels, tolerance_px, 0.0075 if tolerance_share is None else tolerance_share, band_share
    )
