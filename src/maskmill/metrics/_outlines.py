"""What families share that score outlines: cropped masks, boundary pixels, distances.

Ignored pixels belong to no mask, neither the true one nor the predicted one: a pixel of a mask is
on its boundary when one of its four neighbours is outside the mask, ignored, or beyond the image.
So an object that ignored pixels surround, as in Pascal VOC, has an outline, and a prediction that
is right has the same one. Distances are in pixels, between centres.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from maskmill.metrics import Labels, Sample


@dataclass(frozen=True)
class ClassMasks:
    """One class in truth and prediction, cropped to where it is."""

    place: int  # of the class among those asked for
    truth: np.ndarray  # (h, w) bool
    predicted: np.ndarray  # (h, w) bool


def cropped_masks(
    sample: Sample, labels: Labels, ids: tuple[int, ...], margin_px: int = 1
) -> Iterator[ClassMasks]:
    """The classes of `ids` in the truth or the prediction, each cropped to its bounding box.

    The crop has `margin_px` around the box of both masks, inside the image.
    """
    from scipy import ndimage

    valid = sample.truth.numpy() != labels.ignore_index
    # 0: ignored; find_objects counts from 1
    truth = np.where(valid, sample.truth.numpy().astype(np.int32) + 1, 0)
    predicted = np.where(valid, sample.predicted.numpy().astype(np.int32) + 1, 0)
    k = len(labels.classes)
    boxes = [ndimage.find_objects(ids_, k) for ids_ in (truth, predicted)]
    for place, i in enumerate(ids):
        found = [box[i] for box in boxes if box[i] is not None]
        if found:
            crop = tuple(
                slice(max(min(box[axis].start for box in found) - margin_px, 0),
                      max(box[axis].stop for box in found) + margin_px)
                for axis in range(2)
            )  # fmt: skip
            yield ClassMasks(place, truth[crop] == i + 1, predicted[crop] == i + 1)


def boundary_pixels(mask: np.ndarray) -> np.ndarray:
    """(h, w) bool: the pixels of the mask with a neighbour outside it, or at the frame."""
    filled = np.pad(mask, 1)
    inside = filled[:-2, 1:-1] & filled[2:, 1:-1] & filled[1:-1, :-2] & filled[1:-1, 2:]
    result: np.ndarray = mask & ~inside
    return result


def boundary_band(mask: np.ndarray, width_px: int) -> np.ndarray:
    """(h, w) bool: the pixels of the mask within `width_px` of its outside (Chebyshev distance)."""
    from scipy import ndimage

    filled = mask.astype(np.uint8)
    inside = ndimage.minimum_filter(filled, size=2 * width_px + 1, mode="constant", cval=0)
    result: np.ndarray = mask & (inside == 0)
    return result


def surface_distances(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact distance from each pixel of `a` to the nearest of `b`, and from each of `b` to `a`.

    Neither may be empty.
    """
    # of the few boundary pixels: half the time of two distance transforms
    from scipy.spatial import KDTree

    of_a, of_b = np.argwhere(a), np.argwhere(b)
    return KDTree(of_b).query(of_a)[0], KDTree(of_a).query(of_b)[0]
