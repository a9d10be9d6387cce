"""How far a pixel lies from the nearest border between two true classes."""

import cv2
import numpy as np

EDGES_PX = (1, 2, 4, 8, 16)  # of the bins: 0 to 1 px, 1 to 2 .. over 16
BINS = len(EDGES_PX) + 1
NEAR_BINS = 2  # the first two: at the border, at most 2 px away


def distance_bins(truth: np.ndarray, ignore_index: int) -> np.ndarray:
    """Return the distance bin of each pixel of `truth`, both (H, W) uint8.

    The bins of ignored pixels mean nothing. A border runs between pixels, so the pixels beside it
    are 0.5 px away: the distance is that to the nearest centre of a pixel of another class, less
    0.5, exact and Euclidean. Ignored pixels make no border. Where an image has one class alone,
    every pixel is over 16 px away.
    """
    ignored = truth == ignore_index
    px = np.full(truth.shape, np.inf, dtype=np.float32)
    present = np.flatnonzero(np.bincount(truth[~ignored], minlength=1))
    for i in present if len(present) > 1 else ():
        own = truth == i
        # OpenCV's exact transform: what scipy's gives, in an eighth of the time
        to_others = cv2.distanceTransform(
            (own | ignored).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        np.copyto(px, to_others, where=own)
    bins = np.zeros(truth.shape, dtype=np.uint8)
    for edge in EDGES_PX:
        bins += px - 0.5 > edge
    return bins


def bin_ranges() -> list[tuple[int, int | None]]:
    """From and to, px, of each bin; the last has no end."""
    return list(zip((0, *EDGES_PX), (*EDGES_PX, None), strict=True))
