"""What an image is like, by which its scores are sliced: how sharp it is, how large its objects, how sure the model."""

import cv2
import numpy as np
from scipy import ndimage

from maskmill.metrics import Labels, Sample

FACTS = ("uncertainty", "brightness", "contrast", "sharpness", "object_px", "foreground")


def of(image: np.ndarray, sample: Sample, labels: Labels) -> dict[str, float]:
    """The facts of one image: (H, W, C) uint8, and what was predicted and is true.

    uncertainty: mean entropy of the predicted class probabilities over the pixels that are not ignored, over log K,
    so 0 is sure and 1 is a guess. brightness, contrast: mean and standard deviation of the grey values, 0..255.
    sharpness: standard deviation of their Laplacian. object_px: median area of the connected parts of the true
    foreground, NaN without any. foreground: its share of the pixels that are not ignored.
    """
    grey = image.mean(axis=2, dtype=np.float32)
    truth = sample.truth.numpy()
    valid = truth != labels.ignore_index
    solid = np.isin(truth, labels.foreground)
    return {
        "uncertainty": _uncertainty(sample, valid),
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "sharpness": float(cv2.Laplacian(grey, cv2.CV_32F).std()),
        "object_px": _median_area(solid),
        "foreground": float(solid.sum() / valid.sum()) if valid.any() else float("nan"),
    }


def _uncertainty(sample: Sample, valid: np.ndarray) -> float:
    p = sample.probabilities
    entropy = -(p * p.clamp(min=1e-12).log()).sum(0).numpy()[valid]
    return float(entropy.mean() / np.log(len(p))) if entropy.size else float("nan")


def _median_area(solid: np.ndarray) -> float:
    parts, count = ndimage.label(solid)
    return float(np.median(np.bincount(parts.ravel())[1:])) if count else float("nan")
