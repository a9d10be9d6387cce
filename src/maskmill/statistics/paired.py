"""What one model gains over another on the same units, how sure that is, and whether it loses.

The error is the jackknife's; with its degrees of freedom as in `bootstrap.jackknife_error`,
Student's test of it keeps its level down to 5 units (docs/gate.md), where the tail of a bootstrap
that a correction for many comparisons asks for would need far more resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special

from maskmill.metrics import Metrics
from maskmill.statistics.bootstrap import jackknife_error, without_each
from maskmill.statistics.intervals import unit_sums
from maskmill.statistics.support import supporting_units

LEAST = 5  # units that hold a class, below which nothing is said of it


@dataclass(frozen=True)
class Gain:
    """One score of a model less that of another."""

    value: float
    error: float = math.nan  # standard error; NaN where it is not known
    freedom: float = math.nan  # degrees of freedom of the error
    n: int = 0  # independent units that hold what the score is about

    def loss_by_chance(self, margin: float) -> float:
        """The p-value of "it loses no more than the margin": small where it surely loses more."""
        if self.n < LEAST or not math.isfinite(self.error):
            return math.nan
        if self.error == 0:
            return float(self.value >= -margin)
        return float(special.stdtr(self.freedom, (self.value + margin) / self.error))

    def lower_bound(self, tail: float) -> float:
        """What the true gain is below in a share `tail` of cases."""
        if self.n < LEAST or not math.isfinite(self.error):
            return math.nan
        return self.value + float(special.stdtrit(self.freedom, tail)) * self.error


def paired_gains(
    metrics: Metrics, a: np.ndarray, b: np.ndarray, units: np.ndarray, names: Sequence[str]
) -> dict[str, Gain]:
    """Each score of `names` of model a less that of model b: (N, S) statistics, (N,) units."""
    sums = unit_sums(np.concatenate([a, b], axis=1), units)
    size = a.shape[1]

    def difference(of: np.ndarray) -> dict[str, np.ndarray]:
        ours, theirs = (
            metrics.scores(torch.from_numpy(part)) for part in (of[..., :size], of[..., size:])
        )
        return {name: (ours[name] - theirs[name]).numpy() for name in names}

    value, left_out = difference(sums.sum(axis=0)), difference(without_each(sums))
    support = supporting_units(metrics, sums[:, :size])
    made = {}
    for name in names:
        error, freedom = jackknife_error(left_out[name], support[name])
        made[name] = Gain(float(value[name]), float(error), float(freedom), support[name])
    return made


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, NaN left out of it.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979: whatever the dependence, one true hypothesis or more is rejected at level
    alpha in no more than alpha of cases.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, highest = [math.nan] * len(p_values), 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[place] = highest
    return corrected
