"""Scores from one confusion matrix, summed over a whole split.

With n[i, j] the pixels of true class i that were predicted as j, hits h_i = n[i, i], truth t_i =
sum_j n[i, j] and predicted p_i = sum_j n[j, i] are all that these scores need.
"""

from collections.abc import Iterable
from types import MappingProxyType

import torch
from torch import Tensor

from maskmill.metrics import Labels, Metric, Sample, by_class, divide_or_nan

_DEFINITIONS = MappingProxyType({
    "dice/": "2 h / (t + p) of the class, from one confusion matrix over the split",
    "iou/": "h / (t + p - h) of the class, from one confusion matrix over the split",
    "precision/": "h / p of the class: of the pixels predicted so, the share that is right",
    "recall/": "h / t of the class: of its true pixels, the share that was found",
    "dice_foreground": "mean of the foreground classes' Dice",
    "miou_foreground": "mean of the foreground classes' IoU",
    "precision_foreground": "mean of the foreground classes' precision",
    "recall_foreground": "mean of the foreground classes' recall",
    "dice_micro": "2 sum h / sum (t + p) over the foreground classes: large classes count more",
    "iou_micro": "sum h / sum (t + p - h) over the foreground classes",
    "miou": "mean of all classes' IoU, background included",
    "mean_accuracy": "mean of all classes' recall, background included (balanced accuracy)",
    "fw_iou": "mean of all classes' IoU, weighted by their share of the true pixels",
    "pixel_accuracy": "sum h / sum t: share of all pixels that are right",
})  # fmt: skip


def confusion_matrix(predicted: Tensor, truth: Tensor, labels: Labels) -> Tensor:
    """(K, K) int64 pixel counts on the CPU; rows are the truth.

    Both inputs are (..., H, W) class ids; the truth may also hold ignore_index.

    Any id outside 0..K-1 and ignore_index is our mistake: validation refused such masks.
    """
    k = len(labels.classes)
    # one more row collects ignored pixels; dropping it is far cheaper than masking them first
    cells = (k + 1) * k
    kind = next(t for t in (torch.uint8, torch.int16, torch.int32) if torch.iinfo(t).max >= cells)
    rows = truth.masked_fill(truth == labels.ignore_index, k).to(kind)
    assert not rows.numel() or (int(rows.max()) <= k and int(predicted.max()) < k), (
        "an id outside the classes"
    )
    # the smallest type that holds it: bincount is bound by memory
    index = rows.mul_(k).add_(predicted.to(kind))
    return torch.bincount(index.flatten(), minlength=cells).view(-1, k)[:k].cpu()


def matrix_margins(counts: Tensor) -> Tensor:
    """(3 K,) float64: hits, truth and predicted pixels of each class."""
    return torch.cat([counts.diagonal(), counts.sum(1), counts.sum(0)]).double()


class Confusion(Metric):
    """IoU, Dice, precision, recall and accuracy: of each class, macro, micro and weighted."""

    definitions = _DEFINITIONS
    over_all = frozenset({"miou", "mean_accuracy"})

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self.fields = tuple(
            f"{part}/{name}" for part in ("hits", "truth", "predicted") for name in labels.classes
        )

    @property
    def labels(self) -> Labels:
        """What the ids mean."""
        return self._labels

    def statistic(self, sample: Sample) -> Tensor:
        return self.of(sample.predicted, sample.truth)

    def of(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(3 K,) float64 of any number of images: (..., H, W) ids, the truth also ignore_index."""
        return matrix_margins(confusion_matrix(predicted, truth, self._labels))

    def over(self, pairs: Iterable[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Scores over several images, each (predicted, truth) as for `of`."""
        totals = torch.zeros(len(self.fields), dtype=torch.float64)
        for predicted, truth in pairs:
            totals += self.of(predicted, truth)
        return {name: float(score) for name, score in self.scores(totals).items()}

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        hits, truth, predicted = totals.chunk(3, dim=-1)  # each (..., K)
        union = truth + predicted - hits
        dice, iou = divide_or_nan(2 * hits, truth + predicted), divide_or_nan(hits, union)
        precision, recall = divide_or_nan(hits, predicted), divide_or_nan(hits, truth)
        ids = list(self._labels.foreground)
        named = {"dice": dice, "iou": iou, "precision": precision, "recall": recall}
        return {
            "dice_foreground": dice[..., ids].nanmean(-1),
            "miou_foreground": iou[..., ids].nanmean(-1),
            "precision_foreground": precision[..., ids].nanmean(-1),
            "recall_foreground": recall[..., ids].nanmean(-1),
            "dice_micro": divide_or_nan(
                2 * hits[..., ids].sum(-1), (truth + predicted)[..., ids].sum(-1)
            ),
            "iou_micro": divide_or_nan(hits[..., ids].sum(-1), union[..., ids].sum(-1)),
            "miou": iou.nanmean(-1),
            "mean_accuracy": recall.nanmean(-1),
            "fw_iou": divide_or_nan((truth * iou.nan_to_num()).sum(-1), truth.sum(-1)),
            "pixel_accuracy": divide_or_nan(hits.sum(-1), truth.sum(-1)),
            **{
                key: value
                for name, values in named.items()
                for key, value in by_class(name, self._labels, values).items()
            },
        }


def confusion(*, labels: Labels) -> Confusion:
    """Counts of hits, truth and predicted pixels of each class."""
    return Confusion(labels)


def names(classes: tuple[str, ...]) -> list[str]:
    """The names of these scores, which alone may be the headline.

    Training measures them at each validation.
    """
    made = Confusion(Labels(classes, (0,), 255))
    return list(made.scores(torch.zeros(len(made.fields), dtype=torch.float64)))
