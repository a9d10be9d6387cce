"""A bias-corrected, accelerated bootstrap over independent units, as wide as few units ask for.

Shapes: units U, numbers of a statistic S, resamples B; leading dimensions are data sets that are
treated alike.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Tensor

Scores = Callable[[Tensor], Mapping[str, Tensor]]  # (..., S) sums -> each (...)

_CHUNK = 4_000_000  # numbers that are held at once for a part of the resamples: 32 MB
# units: resamples lie between the units, and of 4 all are on one side of the truth 1 time in 8
LEAST = 5
_MOST_WIDENED = 2.0  # the jackknife's error means nothing for a score that jumps, a median say


@dataclass(frozen=True)
class Spread:
    """What one score does when units are drawn anew, and when one is left out."""

    value: np.ndarray  # (...,) over all units
    resampled: np.ndarray  # (..., B)
    left_out: np.ndarray  # (..., U) without one unit
    alone: np.ndarray  # (..., U) of one unit by itself
    support: float = math.inf  # units that truly hold what the score is about

    @property
    def n(self) -> np.ndarray:
        """(...,) the units that the score is made of and that truly hold what it is about."""
        n: np.ndarray = np.fmin(self.used, self.support)
        return n

    @property
    def used(self) -> np.ndarray:
        """(...,) how many units the score is made of.

        It is made of a unit that gives a score alone, or without which it changes.
        """
        value = self.value[..., None]
        used = np.isfinite(self.alone) | (np.isfinite(value) & ~_equal(self.left_out, value))
        count: np.ndarray = used.sum(axis=-1)
        return count


def resample_weights(units: int, resamples: int, seed: int, size: int) -> Iterator[np.ndarray]:
    """How often each resample holds each unit, in parts (B', U) float64.

    A part is small beside `size` numbers a row.
    """
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(units, size))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(units, size=(rows, units)) + units * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(float)


def resampled_scores(
    scores: Scores, sums: np.ndarray, *, resamples: int, seed: int
) -> dict[str, Spread]:
    """Each score's values over resamples of the units, from (..., U, S) sums of each unit."""
    units = sums.shape[-2]
    resampled: dict[str, list[np.ndarray]] = {}
    for part in resample_weights(units, resamples, seed, sums[..., 0, :].size):
        for name, values in scores(torch.from_numpy(part @ sums)).items():
            resampled.setdefault(name, []).append(values.numpy())
    value = scores(torch.from_numpy(sums.sum(axis=-2)))
    left_out, alone = scores(torch.from_numpy(without_each(sums))), scores(torch.from_numpy(sums))
    return {
        name: Spread(
            value[name].numpy(),
            np.concatenate(resampled[name], axis=-1),
            left_out[name].numpy(),
            alone[name].numpy(),
        )
        for name in value
    }


def without_each(sums: np.ndarray) -> np.ndarray:
    """(..., U, S) sums over all units but one.

    Nothing is subtracted: what no other unit holds is exactly 0.
    """
    made = np.zeros_like(sums)
    np.cumsum(sums[..., :-1, :], axis=-2, out=made[..., 1:, :])
    made[..., :-1, :] += np.cumsum(sums[..., :0:-1, :], axis=-2)[..., ::-1, :]
    return made


def interval_bounds(spread: Spread, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Low and high of each interval, (...,) each; NaN where there is none.

    Bias-corrected and accelerated (Efron 1987; Efron and Tibshirani 1993, ch. 14), with the normal
    quantile replaced by a wider one (`student_quantile`). The acceleration is itself unsure with
    few units, so each bound is the outer one of those with it and without it. Resamples without a
    score are left out. There is no interval where most have none, where the score hangs on a single
    unit, without which there would be none, or where fewer than 5 tell it.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        z = student_quantile(spread, (1 - confidence) / 2)
        accelerated, plain = bca_levels(spread, z), bca_levels(spread, z, accelerate=False)
        levels = np.fmin(accelerated[0], plain[0]), np.fmax(accelerated[1], plain[1])
        known = np.isfinite(spread.resampled).mean(axis=-1) > 0.5
        given = (
            known
            & np.isfinite(spread.left_out).all(axis=-1)
            & np.isfinite(spread.value)
            & (spread.used >= LEAST)
        )
        low, high = (
            np.where(given, row_quantiles(spread.resampled, level), np.nan) for level in levels
        )
    return low, high


def student_quantile(spread: Spread, tail: float) -> np.ndarray:
    """(...,) the quantile, below 0, that stands for the normal distribution's `tail`.

    Resamples of few units vary too little (Hesterberg 2015, expanded percentiles, arXiv:1411.5279):
    it is Student's quantile, times the jackknife's standard error over that of the resamples. Where
    a few units weigh most, even that error is unsure: its degrees of freedom are 2 U / (2 + k) with
    the excess kurtosis k of the units' influence, those of a variance with such terms
    (Satterthwaite 1946), at most n - 1.
    """
    error, freedom = jackknife_error(spread.left_out, spread.n)
    ratio = np.nan_to_num(error / _deviation(spread.resampled), nan=1.0)
    z: np.ndarray = special.stdtrit(freedom, tail) * ratio.clip(1, _MOST_WIDENED)
    return z


def jackknife_error(left_out: np.ndarray, n: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Standard error and its degrees of freedom, (...,) each, of a score that n units tell.

    `left_out`: (..., U) without one unit. The error is NaN where it cannot be known.
    """
    away, units = _unit_influence(left_out), left_out.shape[-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt((away**2).sum(axis=-1) * (units - 1) / units)
        freedom = np.fmin(2 * units / np.maximum(2 + _excess(away), 1e-9), n - 1).clip(min=1)
    return error, freedom


def bca_levels(
    spread: Spread, z: np.ndarray, *, accelerate: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The levels of the resampled values that are the bounds of the interval.

    `z` is the (negative) normal quantile of the lower tail.
    """
    count = np.isfinite(spread.resampled).sum(axis=-1)
    value = spread.value[..., None]
    ties = _equal(spread.resampled, value)
    below = ((spread.resampled < value) & ~ties).sum(axis=-1) + ties.sum(axis=-1) / 2
    z0 = special.ndtri(np.clip(below / count, 0.5 / count, 1 - 0.5 / count))
    away = _unit_influence(spread.left_out)
    a = accelerate * np.nan_to_num((away**3).sum(axis=-1) / (6 * (away**2).sum(axis=-1) ** 1.5))
    low, high = (special.ndtr(_accelerated(z0, a, sign * z)) for sign in (1, -1))
    return low, high


def row_quantiles(values: np.ndarray, level: np.ndarray) -> np.ndarray:
    """(...,) the quantile at each row's own level of (..., B), between two values in proportion.

    NaN takes no part.
    """
    ordered = np.sort(values, axis=-1)  # NaN comes last
    last = np.isfinite(ordered).sum(axis=-1) - 1
    place = np.nan_to_num(level) * np.maximum(last, 0)
    before = np.floor(place).astype(int)
    after = np.minimum(before + 1, np.maximum(last, 0))
    low, high = (
        np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in (before, after)
    )
    made: np.ndarray = low + (high - low) * (place - before)
    return made


def _unit_influence(left_out: np.ndarray) -> np.ndarray:
    """(..., U) the influence of each unit on the score.

    It is how much less the score is without the unit than on average without one.
    """
    made: np.ndarray = left_out.mean(axis=-1, keepdims=True) - left_out
    return made


def _excess(away: np.ndarray) -> np.ndarray:
    """(...,) excess kurtosis of (..., U) of mean 0, without bias for normal values.

    Joanes and Gill 1998, G2.
    """
    u = away.shape[-1]
    plain = u * (away**4).sum(axis=-1) / (away**2).sum(axis=-1) ** 2 - 3
    made: np.ndarray = (u - 1) / np.float64((u - 2) * (u - 3)) * ((u + 1) * plain + 6)
    return made


def _deviation(values: np.ndarray) -> np.ndarray:
    """(...,) standard deviation of (..., B) where it is known."""
    known = np.isfinite(values)
    count = known.sum(axis=-1)
    mean = np.where(known, values, 0).sum(axis=-1) / count
    made: np.ndarray = np.sqrt(
        (np.where(known, values - mean[..., None], 0) ** 2).sum(axis=-1) / count
    )
    return made


def _accelerated(z0: np.ndarray, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """z0 + (z0 + z) / (1 - a (z0 + z)), the accelerated quantile.

    Beyond the pole, where the formula turns round, it is the outermost.
    """
    moved, room = z0 + z, 1 - a * (z0 + z)
    made: np.ndarray = np.where(room > 0, z0 + moved / room, np.copysign(np.inf, moved))
    return made


def _equal(values: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Equal but for rounding: units that are all alike give the same score in every resample."""
    made: np.ndarray = np.abs(values - value) <= 1e-12 * np.maximum(1, np.abs(value))
    return made
