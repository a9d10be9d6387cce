"""Confidence intervals of scores over independent units: of one model, of two, and over seeds.

Two models are compared on the same units.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import special
from torch import Tensor

from maskmill.metrics import Metrics
from maskmill.settings.config import Intervals
from maskmill.statistics import bootstrap
from maskmill.statistics.scores import Score
from maskmill.statistics.support import supporting_units
from maskmill.statistics.units import ENOUGH


def scores_with_intervals(
    metrics: Metrics,
    statistics: np.ndarray,
    units: np.ndarray,
    settings: Intervals,
    *,
    only: str = "",
) -> dict[str, Score]:
    """Each score, or the one named `only`, with its interval over independent units.

    The scores come from (N, S) statistics of images and their (N,) units. `n` counts the units that
    the score is made of and that truly hold its class; a mean over classes has the least of them.
    The order of the rows does not matter.
    """

    def chosen(sums: Tensor) -> Mapping[str, Tensor]:
        return _wanted_scores(metrics.scores(sums), only)

    sums = unit_sums(statistics, units)
    return _scores_of_sums(chosen, sums, supporting_units(metrics, sums), settings)


def paired_differences(
    metrics: Metrics,
    a: np.ndarray,
    b: np.ndarray,
    units: np.ndarray,
    settings: Intervals,
    *,
    only: str = "",
    independent: bool = True,
) -> dict[str, Score]:
    """Each score, or the one named `only`, of model a less that of model b, with its interval.

    The interval is that of the difference. Both are scored on the same resamples, so that what
    makes a unit hard for both does not count. Shapes as for `scores_with_intervals`; whether the
    units are `independent` is noted with the scores.
    """

    def difference(sums: Tensor) -> Mapping[str, Tensor]:
        of_a, of_b = (metrics.scores(part) for part in sums.chunk(2, dim=-1))
        return {name: value - of_b[name] for name, value in _wanted_scores(of_a, only).items()}

    sums = unit_sums(np.concatenate([a, b], axis=1), units)
    support = supporting_units(metrics, sums[:, : a.shape[1]])
    made = _scores_of_sums(difference, sums, support, settings)
    return {name: replace(score, independent=independent) for name, score in made.items()}


def decides(difference: Score) -> bool:
    """Whether there is an interval with enough independent units behind it to decide by."""
    return difference.independent and difference.n >= ENOUGH and bool(np.isfinite(difference.low))


def is_significant(difference: Score) -> bool:
    """Whether the interval leaves out 0 and enough independent units stand behind it."""
    return decides(difference) and (difference.low > 0 or difference.high < 0)


def mean_over_seeds(values: Sequence[float], confidence: float = 0.95) -> Score:
    """The mean of one score over trainings with several seeds, with Student's interval.

    n counts the seeds. It says how much of the score is luck in training, and nothing about other
    images.
    """
    known = np.array([value for value in values if math.isfinite(value)])
    n = len(known)
    if n < 2:
        return Score(float(known[0]) if n else math.nan, n=n)
    half = special.stdtrit(n - 1, (1 + confidence) / 2) * known.std(ddof=1) / math.sqrt(n)
    return Score(float(known.mean()), float(known.mean() - half), float(known.mean() + half), n)


def _wanted_scores(scores: Mapping[str, Tensor], only: str) -> Mapping[str, Tensor]:
    return {only: scores[only]} if only else scores


def _scores_of_sums(
    scores: bootstrap.Scores, sums: np.ndarray, support: Mapping[str, int], settings: Intervals
) -> dict[str, Score]:
    """The score of a class that fewer than 5 units truly hold has no interval."""
    made = {}
    for name, spread in bootstrap.resampled_scores(
        scores, sums, resamples=settings.resamples, seed=settings.seed
    ).items():
        supported = replace(spread, support=support[name])
        low, high = bootstrap.interval_bounds(supported, settings.confidence)
        if "/" in name and supported.n < bootstrap.LEAST:
            low = high = np.array(math.nan)
        made[name] = Score(float(spread.value), float(low), float(high), int(supported.n))
    return made


def unit_sums(statistics: np.ndarray, units: np.ndarray) -> np.ndarray:
    """(U, S) sums of each unit, added up in the same order whatever the order of the rows."""
    of_unit = np.unique(units, return_inverse=True)[1]
    order = sorted(range(len(units)), key=lambda i: (of_unit[i], statistics[i].tobytes()))
    starts = np.unique(of_unit[order], return_index=True)[1]
    return np.add.reduceat(np.ascontiguousarray(statistics[order], float), starts, axis=0)
