"""Exact sums over the pixels of an image, from which means and deviations follow without rounding.

OpenCV is imported where it is used: a served model needs none.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_FEW = 8


class Moments(NamedTuple):
    """The number of pixels, and per channel their sum and the sum of their squares, (C,) int64."""

    pixels: int
    sums: np.ndarray
    squares: np.ndarray


def moments(pixels: np.ndarray) -> Moments:
    """Of one image. Shape: (H, W, C) uint8.

    OpenCV measures in one pass; its doubles are near enough to the integers that they stand for to
    be rounded to them.
    """
    import cv2

    count = pixels.shape[0] * pixels.shape[1]
    mean, deviation = (part[:, 0] for part in cv2.meanStdDev(pixels))
    sums, squares = mean * count, (deviation**2 + mean**2) * count
    return Moments(count, np.rint(sums).astype(np.int64), np.rint(squares).astype(np.int64))


def histogram(ids: np.ndarray, expected: Sequence[int] = ()) -> np.ndarray:
    """How often each value stands in (H, W) uint8: (256,) int64.

    A few `expected` values are counted one by one, each far faster than all at once, and are all
    where they fill it.
    """
    import cv2

    total = np.zeros(256, np.int64)
    if len(expected) <= _FEW:
        for value in expected:
            total[value] = np.count_nonzero(ids == value)
        if total.sum() == ids.size:
            return total
        total[:] = 0
    # in strips, as OpenCV counts in float32
    rows = max(1, 2**24 // max(1, ids.shape[1]))
    for start in range(0, len(ids), rows):
        total += (
            cv2.calcHist([ids[start : start + rows]], [0], None, [256], [0, 256])
            .ravel()
            .astype(np.int64)
        )
    return total
