"""Measure facts of an image by which scores are sliced: sharpness, object size, certainty."""

import math

import cv2
import numpy as np

from maskmill.evaluation.objects import object_areas
from maskmill.metrics import Labels, Sample

FACTS = ("uncertainty", "brightness", "contrast", "sharpness", "object_px", "foreground")


def facts_of_image(image: np.ndarray, sample: Sample, labels: Labels) -> dict[str, float]:
    """Return the facts of one image, (H, W, C) uint8, and of what was predicted and is true.

    uncertainty: mean entropy of the predicted class probabilities over the pixels that are not
        ignored, over log K, so 0 is sure and 1 is a guess.
    brightness, contrast: mean and standard deviation of the grey values, 0..255.
    sharpness: standard deviation of their Laplacian.
    object_px: median area of the objects, as `objects.object_areas` has them, NaN without any.
    foreground: its share of the pixels that are not ignored, NaN where all are.
    """
    grey = _grey(image)
    truth = sample.truth.numpy()
    valid = truth != labels.ignore_index
    pixels = np.bincount(truth[valid], minlength=len(labels.classes))
    present = [i for i in labels.foreground if pixels[i]]
    sizes = object_areas(truth, valid, present)
    return {
        "uncertainty": _uncertainty(sample, valid),
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "sharpness": float(cv2.Laplacian(grey, cv2.CV_32F).std()),
        "object_px": float(np.median(sizes)) if sizes.size else math.nan,
        "foreground": float(pixels[present].sum() / pixels.sum()) if pixels.any() else math.nan,
    }


def _uncertainty(sample: Sample, valid: np.ndarray) -> float:
    p = sample.probabilities.numpy()
    parts = np.maximum(p, 1e-12)
    # in place: as large as all probabilities; numpy's takes a tenth of torch's time
    np.log(parts, out=parts)
    parts *= p
    entropy = -parts.sum(axis=0)[valid]
    return float(entropy.mean() / np.log(len(p))) if entropy.size else math.nan


def _grey(image: np.ndarray) -> np.ndarray:
    """(H, W) float32: the mean over the channels."""
    grey: np.ndarray = cv2.transform(
        image.astype(np.float32), np.full((1, image.shape[2]), 1 / image.shape[2])
    )
    return grey
