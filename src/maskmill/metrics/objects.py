"""Whether objects were found: connected components of truth and prediction, matched one to one.

Two objects of a class that touch are one: components join over edges (connectivity 4), or over
edges and corners (8). Ignored pixels belong to no object, and objects that the frame cuts count
like others. A predicted and a true object can be matched when their IoU is at least the threshold;
above 0.5 each has one partner at most (Kirillov et al., "Panoptic Segmentation", sec. 4.1,
arXiv:1801.00868), below it the most matches are made, of these the best.
"""

from types import MappingProxyType
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from maskmill.metrics import Labels, Metric, Sample, by_class, divide_or_nan
from maskmill.metrics._outlines import cropped_masks

_DEFINITIONS = MappingProxyType({
    "object_f1/": "2 TP / (2 TP + FP + FN) of the class's objects over the split: TP are matched "
                  "at an IoU of {iou:g} or more, FP predicted without a match, FN true without "
                  "one",
    "object_precision/": "TP / (TP + FP) of the class's objects over the split",
    "object_recall/": "TP / (TP + FN) of the class's objects over the split",
    "object_iou/": "mean IoU of the class's matched objects over the split (segmentation quality)",
    "object_f1_foreground": "mean of the foreground classes' object_f1",
    "object_precision_foreground": "mean of the foreground classes' object_precision",
    "object_recall_foreground": "mean of the foreground classes' object_recall",
    "object_iou_foreground": "mean of the foreground classes' object_iou",
})  # fmt: skip


class ObjectMetric(Metric):
    """F1, precision, recall and mean IoU of matched objects, of each foreground class."""

    def __init__(self, labels: Labels, iou: float, connectivity: Literal[4, 8]) -> None:
        self._labels, self._iou, self._connectivity = labels, iou, connectivity
        self.definitions = {name: text.format(iou=iou) for name, text in _DEFINITIONS.items()}
        parts = ("matched", "predicted", "truth", "iou")
        self.fields = tuple(
            f"{part}/{labels.classes[i]}" for part in parts for i in labels.foreground
        )

    def statistic(self, sample: Sample) -> Tensor:
        values = np.zeros((4, len(self._labels.foreground)))
        for pair in cropped_masks(sample, self._labels, self._labels.foreground):
            truth, predicted = (
                label_components(mask, self._connectivity) for mask in (pair.truth, pair.predicted)
            )
            ious = matched_ious(truth, predicted, self._iou)
            values[:, pair.place] = len(ious), predicted.max(), truth.max(), ious.sum()
        return torch.from_numpy(values).flatten()

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        matches, predicted, truth, iou = totals.chunk(4, dim=-1)
        named = {
            "object_f1": divide_or_nan(2 * matches, predicted + truth),
            "object_precision": divide_or_nan(matches, predicted),
            "object_recall": divide_or_nan(matches, truth),
            "object_iou": divide_or_nan(iou, matches),
        }
        return {f"{name}_foreground": values.nanmean(-1) for name, values in named.items()} | {
            score: value
            for name, values in named.items()
            for score, value in by_class(
                name, self._labels, values, self._labels.foreground
            ).items()
        }


def label_components(mask: np.ndarray, connectivity: Literal[4, 8]) -> np.ndarray:
    """(h, w) int32: 0 outside the mask, and one number from 1 for each of its components."""
    from scipy import ndimage

    numbers: np.ndarray = ndimage.label(mask, np.ones((3, 3)) if connectivity == 8 else None)[0]
    return numbers


def matched_ious(truth: np.ndarray, predicted: np.ndarray, least_iou: float) -> np.ndarray:
    """(M,) IoU of the matched pairs of components."""
    from scipy.optimize import linear_sum_assignment

    both = (truth > 0) & (predicted > 0)
    t, p, overlap = joint_counts(truth[both], predicted[both])
    ious = overlap / (np.bincount(truth.ravel())[t] + np.bincount(predicted.ravel())[p] - overlap)
    t, p, ious = (values[ious >= least_iou] for values in (t, p, ious))
    if len(np.unique(t)) == len(t) and len(np.unique(p)) == len(p):
        return np.asarray(ious)
    (rows, t), (columns, p) = np.unique(t, return_inverse=True), np.unique(p, return_inverse=True)
    gain = np.zeros((len(rows), len(columns)))
    gain[t, p] = len(ious) + ious  # one match more is worth more than any IoU
    chosen = gain[linear_sum_assignment(gain, maximize=True)]
    best: np.ndarray = chosen[chosen > 0] - len(ious)
    return best


def joint_counts(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of numbers at the same place in (N,) `a` and `b`, and how often each stands there.

    Returns: three (M,) int64.
    """
    width = int(b.max(initial=0)) + 1
    # far faster than along an axis
    cells, counts = np.unique(a.astype(np.int64) * width + b, return_counts=True)
    return *np.divmod(cells, width), counts


def objects(
    *,
    labels: Labels,
    iou: Annotated[float, Field(gt=0, le=1)] = 0.5,
    connectivity: Literal[4, 8] = 8,
) -> ObjectMetric:
    """Counts of matched, predicted and true objects of each class, matched from IoU `iou` up."""
    return ObjectMetric(labels, iou, connectivity)
