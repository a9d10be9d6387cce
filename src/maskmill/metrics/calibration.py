"""Whether probabilities mean what they say: expected calibration error and Brier score.

Both are over the split.

Guo et al., "On Calibration of Modern Neural Networks", sec. 2, arXiv:1706.04599; Brier,
"Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950.
Confidence is the probability of the predicted class. Ignored pixels count nowhere.
"""

from types import MappingProxyType
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from maskmill.metrics import Labels, Metric, Sample, divide_or_nan

_DEFINITIONS = MappingProxyType({
    "ece": "mean over pixels of |accuracy - mean confidence| of the pixel's bin, in {bins} equal "
           "bins of confidence over the split",
    "brier": "mean over pixels of the sum over classes of (probability - 1 if true, else 0)^2: 0 "
             "to 2; for two classes twice the score of the one",
})  # fmt: skip


class Calibration(Metric):
    """Expected calibration error, Brier score and the bins of the reliability diagram."""

    lower = frozenset(_DEFINITIONS)

    def __init__(self, labels: Labels, bins: int) -> None:
        self._labels, self._bins = labels, bins
        self.definitions = {name: text.format(bins=bins) for name, text in _DEFINITIONS.items()}
        self.fields = (
            *(f"{part}/{i}" for part in ("pixels", "confidence", "right") for i in range(bins)),
            "squares",
        )

    def statistic(self, sample: Sample) -> Tensor:
        valid = (sample.truth != self._labels.ignore_index).flatten()
        p = sample.probabilities.flatten(1)
        predicted, truth = sample.predicted.flatten().long(), sample.truth.flatten().long()
        confidence = p.gather(0, predicted[None])[0].double()
        bins = (confidence * self._bins).long().clamp_(max=self._bins - 1)
        weights = (valid.double(), valid * confidence, (valid & (predicted == truth)).double())
        counts = [torch.bincount(bins, weight, self._bins) for weight in weights]
        of_truth = p.gather(0, truth.masked_fill(~valid, 0)[None])[0].double()
        squares = p.square().sum(0, dtype=torch.float64) - 2 * of_truth + 1
        return torch.cat([*counts, squares.where(valid, 0).sum()[None]])

    def reliability(self, totals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean confidence, accuracy and pixel count of each bin, each (..., bins).

        An empty bin has NaN, NaN and 0.

        Bin i holds confidences from i / bins to below (i + 1) / bins, the last one also 1.
        """
        pixels, confidence, right = totals[..., :-1].chunk(3, dim=-1)
        return divide_or_nan(confidence, pixels), divide_or_nan(right, pixels), pixels

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        pixels, confidence, right = totals[..., :-1].chunk(3, dim=-1)
        every = pixels.sum(-1)
        return {
            "ece": divide_or_nan((right - confidence).abs().sum(-1), every),
            "brier": divide_or_nan(totals[..., -1], every),
        }


def calibration(*, labels: Labels, bins: Annotated[int, Field(ge=2, le=100)] = 15) -> Calibration:
    """Pixels, confidences and hits in `bins` equal bins of confidence, and Brier's squares."""
    return Calibration(labels, bins)
