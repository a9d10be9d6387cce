import math

import numpy as np
import pytest

from maskmill.metrics import Labels, create
from maskmill.settings.config import Intervals
from maskmill.statistics.optimism import score_of_the_best

METRICS = create({}, Labels(("background", "disc"), (1,), 255))
SETTINGS = Intervals(resamples=400)
UNITS, TRUE = 40, 0.8  # share of each class's pixels that any of the models gets right, in truth


def models(rng, count):
    """(UNITS, 6) statistics of models that are alike but for luck."""
    for _ in range(count):
        hits = 100 * rng.beta(8, 2, (UNITS, 2))  # of mean 0.8
        yield np.concatenate([hits, np.full((UNITS, 2), 100.0), np.full((UNITS, 2), 100.0)], axis=1)


def recall(rows):
    return rows[:, 1].sum() / rows[:, 3].sum()


def test_of_many_equal_models_the_best_flatters_and_its_correction_does_not():
    """The mean over 40 validation splits, of the best of 8 and of what the choice is worth."""
    rng, best, corrected = np.random.default_rng(0), [], []
    for _ in range(40):
        rows = list(models(rng, 8))
        best.append(max(map(recall, rows)))
        corrected.append(
            score_of_the_best(METRICS, rows, np.arange(UNITS), SETTINGS, "recall/disc")
        )
    assert np.mean(best) - TRUE > 0.02
    assert np.mean(corrected) == pytest.approx(TRUE, abs=0.006)


def test_a_model_that_is_far_ahead_is_hardly_corrected():
    rng = np.random.default_rng(1)
    (bad,), (good,) = models(rng, 1), models(rng, 1)
    bad[:, :2] *= 0.5
    found = score_of_the_best(METRICS, [bad, good], np.arange(UNITS), SETTINGS, "recall/disc")
    assert found == pytest.approx(recall(good), abs=0.002)


def test_a_model_without_a_score_is_never_the_best():
    (good,) = models(np.random.default_rng(2), 1)
    broken = np.full_like(good, math.nan)
    found = score_of_the_best(METRICS, [broken, good], np.arange(UNITS), SETTINGS, "recall/disc")
    assert found == pytest.approx(recall(good), abs=0.002)
