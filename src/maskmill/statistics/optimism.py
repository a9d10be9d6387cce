"""What the best of several models scores on other images than those by which it was chosen."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from maskmill.metrics import Metrics
from maskmill.settings.config import Intervals
from maskmill.statistics.bootstrap import resample_weights
from maskmill.statistics.intervals import unit_sums


def score_of_the_best(
    metrics: Metrics,
    statistics: Sequence[np.ndarray],
    units: np.ndarray,
    settings: Intervals,
    name: str,
) -> float:
    """The score `name` that choosing the best model by it gives on images that did not choose.

    `statistics`: (N, S) of each model, on the same images. On each resample of the units the best
    is chosen anew and scored on the units that the resample lacks; the mean over resamples is what
    the choice is worth. Tsamardinos, Greasidou and Borboudakis, "Bootstrapping the out-of-sample
    predictions for efficient and accurate cross-validation", Machine Learning 107, 2018, sec. 4.
    """
    sums = np.stack([unit_sums(rows, units) for rows in statistics])  # (V, U, S)
    found = []
    for weights in resample_weights(
        sums.shape[1], settings.resamples, settings.seed, sums[:, 0].size
    ):
        chosen_by, others = (
            metrics.scores(torch.from_numpy(part @ sums))[name].numpy()
            for part in (weights, (weights == 0).astype(float))
        )  # each (V, B')
        best = np.where(np.isfinite(chosen_by), chosen_by, -math.inf).argmax(axis=0)
        found.append(np.take_along_axis(others, best[None], axis=0)[0])
    known = np.concatenate(found)
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else math.nan
