"""How many units truly hold what a score is about: false alarms are no support."""

from collections.abc import Sequence

import numpy as np

from maskmill.metrics import ALWAYS, Labels, Metrics
from maskmill.metrics.confusion import Confusion


def supporting_units(metrics: Metrics, sums: np.ndarray) -> dict[str, int]:
    """By score: the units with true pixels of its class, from (U, S) sums of units.

    A mean over classes has the least of its classes, but for those without a true pixel; any other
    score has the units in which a pixel is not ignored.
    """
    labels, truth = labels_of(metrics), true_pixels(metrics, sums)
    held = dict(zip(labels.classes, (truth > 0).sum(axis=0).tolist(), strict=True))
    every = int((truth.sum(axis=1) > 0).sum())
    foreground = [labels.classes[i] for i in labels.foreground]

    def least(classes: Sequence[str]) -> int:
        return min((held[name] for name in classes if held[name]), default=0)

    def support(score: str) -> int:
        if "/" in score:
            return int(held[score.partition("/")[2]])
        if score.endswith("_foreground"):
            return least(foreground)
        return least(labels.classes) if score in metrics.over_all else every

    return {score: support(score) for score in metrics.names}


def labels_of(metrics: Metrics) -> Labels:
    """What the ids mean whose pixels the metrics count."""
    return _confusion(metrics).labels


def true_pixels(metrics: Metrics, rows: np.ndarray) -> np.ndarray:
    """(N, K) true pixels of each class, from (N, S) statistics."""
    family = _confusion(metrics)
    k = len(family.labels.classes)
    start = metrics.fields.index(f"{ALWAYS}:{family.fields[0]}") + k  # after the hits
    return rows[:, start : start + k]


def _confusion(metrics: Metrics) -> Confusion:
    family = metrics.families[ALWAYS]
    assert isinstance(family, Confusion)
    return family
