"""The weight of each class, from how often it is there."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np


def class_weights(
    setting: Literal["inverse", "median"] | Mapping[str, float],
    classes: Sequence[str],
    pixels: np.ndarray,
) -> tuple[float, ...]:
    """One weight per class id.

    `inverse`: w_k = 1 / (C f_k), with f_k the share of class k in all labelled pixels and C the
    number of classes that are there, so that every class weighs the same in total and a pixel
    weighs 1 on average.
    `median`: w_k = median(f) / f_k, with f_k the share of class k in the labelled pixels of the
    images that hold it (Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels",
    arXiv:1411.4734, where each pixel is weighted so).
    A mapping gives weights by name. A class without a weight of its own there, or without a pixel,
    has weight 1.

    pixels: (images, K) counts of each class in each training image; ignored pixels are in none.
    """
    if isinstance(setting, Mapping):
        return tuple(float(setting.get(name, 1)) for name in classes)
    counts = np.asarray(pixels, np.float64)
    total = counts.sum(0)  # (K,)
    present = total > 0
    if not present.any():
        return (1.0,) * len(classes)
    labelled = counts.sum(1)  # (images,)
    beside = (
        ((counts > 0) * labelled[:, None]).sum(0)
        if setting == "median"
        else np.full(len(total), labelled.sum())
    )
    frequency = total[present] / beside[present]
    weights = np.ones(len(classes))
    scale = float(np.median(frequency)) if setting == "median" else 1 / present.sum()
    weights[present] = scale / frequency
    return tuple(weights.tolist())
