"""Dice, IoU and accuracy from one confusion matrix over a whole split.

Every count is over all valid pixels of the split, never a mean over images. With n[i, j] the pixels of true class i
that were predicted as j:
    dice_i = 2 n[i, i] / (sum_j n[i, j] + sum_j n[j, i])
    iou_i  = n[i, i] / (sum_j n[i, j] + sum_j n[j, i] - n[i, i])
A class that is neither in the truth nor in the prediction has NaN and is left out of every mean.
"""

import numpy as np

_IGNORED = 1  # one extra row collects ignored pixels; dropping it is far cheaper than masking them first


class Confusion:
    """Pixel counts; matrices of several images, batches or processes add up."""

    def __init__(self, classes: tuple[str, ...], ignore_index: int) -> None:
        self.classes = classes
        self._ignore_index = ignore_index
        self._counts = np.zeros((len(classes) + _IGNORED, len(classes)), dtype=np.int64)

    @property
    def matrix(self) -> np.ndarray:
        """(K, K) int64, rows truth, columns prediction."""
        return self._counts[: len(self.classes)]

    def update(self, predicted: np.ndarray, truth: np.ndarray) -> None:
        """Count one prediction; both (..., H, W) of class ids, the truth also with ignore_index.

        Any id outside 0..K-1 and ignore_index is our mistake: validation refused such masks.
        """
        k = len(self.classes)
        rows = np.where(truth == self._ignore_index, k, truth).astype(np.int64)
        assert rows.max(initial=0) <= k and predicted.max(initial=0) < k, "an id outside the classes"
        self._counts += np.bincount((rows * k + predicted).ravel(), minlength=(k + _IGNORED) * k).reshape(-1, k)

    def add(self, other: "Confusion") -> None:
        """Take in the counts of another matrix over the same classes."""
        self._counts += other._counts

    def dice(self) -> np.ndarray:
        """(K,) Dice of each class in [0, 1], or NaN."""
        hits, truth, predicted = self._margins()
        return _divide(2 * hits, truth + predicted)

    def iou(self) -> np.ndarray:
        """(K,) intersection over union of each class in [0, 1], or NaN."""
        hits, truth, predicted = self._margins()
        return _divide(hits, truth + predicted - hits)

    def scores(self, foreground: tuple[int, ...]) -> dict[str, float]:
        """Means dice_foreground, miou_foreground (over `foreground` ids), miou (all classes); pixel_accuracy.

        And of each class `dice/<class>` and `iou/<class>`.
        """
        dice, iou = self.dice(), self.iou()
        index = list(foreground)
        hits, truth, _ = self._margins()
        return {
            "dice_foreground": _mean(dice[index]),
            "miou_foreground": _mean(iou[index]),
            "miou": _mean(iou),
            "pixel_accuracy": float(_divide(hits.sum(), truth.sum())),
            **{f"dice/{name}": float(value) for name, value in zip(self.classes, dice, strict=True)},
            **{f"iou/{name}": float(value) for name, value in zip(self.classes, iou, strict=True)},
        }

    def _margins(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.diag(self.matrix), self.matrix.sum(axis=1), self.matrix.sum(axis=0)


def names(classes: tuple[str, ...]) -> list[str]:
    """The names that `Confusion.scores` gives, for checking settings against."""
    return list(Confusion(classes, 255).scores((0,)))


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    out = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=out, where=np.asarray(denominator) > 0)
    return out


def _mean(values: np.ndarray) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")
