"""PYTHONPATH=src python benchmarks/coverage.py: do intervals at nominal 95 % hold the true score in 93 to 97 of 100?

Images of a group share a part of how well they are segmented (the correlation within a group), groups differ in size,
and a rare class is in half of the groups. Each row draws that many data sets anew, and asks how often the interval of
each method holds the score of the whole population. Then the same for blocks of one sequence in which neighbours are
alike, and for the difference of two models. Prints the tables of docs/intervals.md; 2 minutes on one core.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from scipy import special
from torch import Tensor

from maskmill.evaluation import bootstrap
from maskmill.evaluation.bootstrap import Spread
from maskmill.metrics import Labels
from maskmill.metrics.confusion import Confusion

LABELS = Labels(("background", "common", "rare"), (1, 2), 255)
IMAGES = 6  # of a group
POPULATION = 200_000  # groups, from which the true score comes
TAIL, RESAMPLES, TOGETHER = 0.025, 1000, 50
SCORED = ("dice_foreground", "dice/rare")
METHODS = ("images, percentile", "percentile", "BCa", "maskmill")

Bounds = tuple[np.ndarray, np.ndarray]


def images(rng: np.random.Generator, shape: tuple[int, ...], latent: np.ndarray, present: np.ndarray) -> np.ndarray:
    """(*shape, 9) hits, truth and predicted pixels of images as well segmented as `latent`, standard normal, says."""
    size = np.exp(rng.normal(0, 0.7, (*shape, 2))) * [1.0, 0.2]
    size[..., 1] *= present
    recall = special.expit(1.5 + 0.8 * latent[..., None] + 0.3 * rng.standard_normal((*shape, 2)))
    wrong = special.expit(-1.5 - 0.6 * latent[..., None] + 0.3 * rng.standard_normal((*shape, 2)))
    truth = np.concatenate([10 - size.sum(-1, keepdims=True).clip(max=9), size], axis=-1)
    hits = np.concatenate([0.95 * truth[..., :1], recall * size], axis=-1)
    predicted = np.concatenate([truth[..., :1], hits[..., 1:] + wrong * size], axis=-1)
    return np.concatenate([hits, truth, predicted], axis=-1)


def groups(rng: np.random.Generator, sets: int, n: int, correlation: float) -> np.ndarray:
    """(sets, n, IMAGES, 9) statistics of images in groups."""
    shape = (sets, n, IMAGES)
    latent = np.sqrt(correlation) * rng.standard_normal((sets, n, 1)) + np.sqrt(1 - correlation) * rng.standard_normal(
        shape
    )
    size = np.exp(rng.normal(0, 0.6, (sets, n, 1, 1)))
    return images(rng, shape, latent, rng.random((sets, n, 1)) < 0.5) * size


def sequence(rng: np.random.Generator, sets: int, length: int, correlation: float) -> np.ndarray:
    """(sets, length, 9) statistics of the images of a sequence; each is correlated so with the one before."""
    noise = rng.standard_normal((sets, length))
    latent = np.empty((sets, length))
    latent[:, 0] = noise[:, 0]
    for i in range(1, length):
        latent[:, i] = correlation * latent[:, i - 1] + np.sqrt(1 - correlation**2) * noise[:, i]
    return images(rng, (sets, length), latent, np.ones((sets, length)))


def scores(sums: Tensor) -> dict[str, Tensor]:
    every = Confusion(LABELS).scores(sums)
    return {name: every[name] for name in SCORED}


def percentile(spread: Spread) -> Bounds:
    return tuple(bootstrap.quantile(spread.resampled, np.full(spread.value.shape, p)) for p in (TAIL, 1 - TAIL))


def bca(spread: Spread) -> Bounds:
    levels = bootstrap.bca_levels(spread, np.full(spread.value.shape, special.ndtri(TAIL)))
    return tuple(bootstrap.quantile(spread.resampled, level) for level in levels)


def ours(spread: Spread) -> Bounds:
    return bootstrap.bounds(spread, 1 - 2 * TAIL)


def holding(truth: float, bounds: Bounds) -> np.ndarray:
    return (bounds[0] <= truth) & (truth <= bounds[1])
