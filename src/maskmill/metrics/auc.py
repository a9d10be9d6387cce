"""How well probabilities rank pixels, at any threshold: ROC AUC and average precision.

Each foreground class against all others; a set of two classes has one. Probabilities are rounded to
levels, of which the split has histograms that add up over images; of the levels the scores are
exact. How far they may be from those of the probabilities themselves follows from the histograms,
and is a score too. Ignored pixels are in none.
"""

import math
from types import MappingProxyType
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from maskmill.metrics import Labels, Metric, Sample, by_class, divide_or_nan

_LEAST = 1e-12  # probabilities below are one level, as are those above 1 - _LEAST
_DEFINITIONS = MappingProxyType({
    "auroc/": "area under the ROC curve of the class's probability over the split: the chance that "
              "a pixel of the class has a higher one, rounded, than a pixel of another, ties half; "
              "NaN without pixels of both kinds",
    "average_precision/": "sum over falling thresholds of (gain in recall) * precision, of the "
                          "class's probability over the split; NaN without true pixels",
    "auroc_foreground": "mean of the foreground classes' auroc",
    "average_precision_foreground": "mean of the foreground classes' average_precision",
    "auroc_rounding": "how far auroc of a foreground class may at most be from that of "
                      "probabilities that are not rounded (metrics.auc.steps), the worst class",
    "average_precision_rounding": "the same of average_precision",
})  # fmt: skip


class Auc(Metric):
    """Area under the ROC curve and average precision of each foreground class."""

    definitions = _DEFINITIONS
    lower = frozenset({"auroc_rounding", "average_precision_rounding"})

    def __init__(self, labels: Labels, steps: int) -> None:
        self._labels, self._steps = labels, steps
        names = [labels.classes[i] for i in labels.foreground]
        self.fields = tuple(
            f"{side}/{name}/{level}"
            for name in names
            for side in ("others", "own")
            for level in range(steps + 1)
        )

    def statistic(self, sample: Sample) -> Tensor:
        levels = self._steps + 1
        ignored = sample.truth == self._labels.ignore_index
        counts = []
        for i in self._labels.foreground:
            side = (sample.truth == i).to(torch.int32).masked_fill_(ignored, 2)
            cells = side * levels + probability_level(sample.probabilities[i], self._steps)
            counts.append(torch.bincount(cells.flatten(), minlength=3 * levels)[: 2 * levels])
        return torch.cat(counts).double()

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        ids = self._labels.foreground
        counts = totals.reshape(*totals.shape[:-1], len(ids), 2, self._steps + 1)
        # each (..., classes, levels), from the highest probability down
        others, own = counts.flip(-1).unbind(-2)
        found, alarms = own.cumsum(-1), others.cumsum(-1)
        all_own, all_others = found[..., -1], alarms[..., -1]
        area = (others * (found - own / 2)).sum(-1)  # pairs in the right order
        precision = divide_or_nan(found, found + alarms).nan_to_num()
        named = {
            "auroc": divide_or_nan(area, all_own * all_others),
            "average_precision": divide_or_nan((own * precision).sum(-1), all_own),
        }
        ties = divide_or_nan((others * own).sum(-1) / 2, all_own * all_others)
        either = _precision_error(own, others, found, alarms, precision)
        rounding = {"auroc": ties, "average_precision": divide_or_nan(either, all_own)}
        return {
            **{f"{name}_foreground": values.nanmean(-1) for name, values in named.items()},
            **{f"{name}_rounding": _greatest(values) for name, values in rounding.items()},
            **{
                score: value
                for name, values in named.items()
                for score, value in by_class(name, self._labels, values, ids).items()
            },
        }


def _precision_error(
    own: Tensor, others: Tensor, found: Tensor, alarms: Tensor, precision: Tensor
) -> Tensor:
    """(...,) how far the sum of precisions over own pixels may be from that without levels.

    All (..., levels), from the highest probability down. Within a level own pixels come first at
    best and last at worst.
    """
    before = found - own
    best = _sum_of_precisions(before, own, alarms - others).sum(-1)
    worst = _sum_of_precisions(before, own, alarms).sum(-1)
    ours = (own * precision).sum(-1)
    return torch.maximum(best - ours, ours - worst).clamp_min(0)


def _sum_of_precisions(before: Tensor, own: Tensor, alarms: Tensor) -> Tensor:
    """Sum over k = 1..own of (before + k) / (before + k + alarms), each in closed form."""
    start = before + alarms + 1
    return own - alarms * (torch.digamma(start + own) - torch.digamma(start))


def _greatest(values: Tensor) -> Tensor:
    """Over the last dimension, of what is known; NaN where nothing is."""
    known = ~values.isnan()
    return torch.where(known.any(-1), values.masked_fill(~known, -math.inf).amax(-1), torch.nan)


def probability_level(p: Tensor, steps: int) -> Tensor:
    """int32 from 0 to `steps`, rising with probability: half by it, half by its log-odds.

    So levels are fine in the middle, and also near 0 and 1, where trained networks put most pixels.
    """
    odds = (p.clamp_min(_LEAST).log() - (1 - p).clamp_min(_LEAST).log()) / (
        2 * math.log(1 / _LEAST)
    ) + 0.5
    return ((p + odds) * (steps / 2)).round().to(torch.int32).clamp_(0, steps)


def auc(*, labels: Labels, steps: Annotated[int, Field(ge=100, le=10_000)] = 1000) -> Auc:
    """Histograms of each foreground class's probability, on `steps` + 1 levels.

    A class has one over its own pixels and one over all others.
    """
    return Auc(labels, steps)
