import math

import numpy as np
import pytest
from scipy import special

from maskmill.metrics import Labels, create
from maskmill.statistics.paired import Gain, holm, paired_gains
from maskmill.statistics.support import supporting_units, true_pixels

METRICS = create({}, Labels(("background", "disc", "bar"), (1, 2), 255))


def rows(rng, n, right, bar=1.0):
    """(n, 9) hits, true and predicted pixels of 100 each; `bar`: share of images that hold it."""
    truth = np.full((n, 3), 100.0)
    truth[:, 2] *= np.arange(n) < bar * n
    hits = truth * special.expit(special.logit(right) + 0.3 * rng.standard_normal((n, 3)))
    return np.concatenate([hits, truth, truth], axis=1)


def test_the_gain_is_that_of_the_scores_and_its_error_the_scatter_of_gains():
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        a, b = rows(rng, 40, 0.8), rows(rng, 40, 0.75)
        found.append(paired_gains(METRICS, a, b, np.arange(40), ["dice/disc"])["dice/disc"])
    gains = np.array([gain.value for gain in found])
    assert gains.mean() == pytest.approx(0.05, abs=0.003)
    assert np.mean([gain.error for gain in found]) == pytest.approx(gains.std(), rel=0.1)


@pytest.mark.parametrize(("units", "support"), [(40, 1.0), (40, 0.2), (8, 1.0)])
def test_equal_models_are_called_worse_as_often_as_the_level_says(units, support):
    rng, name = np.random.default_rng(1), "dice/bar"
    p_values = []
    for _ in range(400):
        a, b = rows(rng, units, 0.8, support), rows(rng, units, 0.8, support)
        gain = paired_gains(METRICS, a, b, np.arange(units), [name])[name]
        p_values.append(gain.loss_by_chance(0.0))
    assert 0.03 <= np.mean(np.array(p_values) < 0.05) <= 0.075


def test_a_loss_within_the_margin_is_no_harm():
    gain = Gain(-0.01, 0.001, 50, 50)
    assert gain.loss_by_chance(0.0) < 1e-6
    assert gain.loss_by_chance(0.01) == pytest.approx(0.5)
    assert gain.loss_by_chance(0.02) > 0.999999


def test_of_fewer_than_five_units_nothing_is_said():
    assert math.isnan(Gain(-0.5, 0.001, 3, 4).loss_by_chance(0.0))
    assert math.isnan(Gain(-0.5, 0.001, 3, 4).lower_bound(0.025))


def test_units_that_all_lose_alike_lose_for_sure():
    assert Gain(-0.1, 0.0, 10, 30).loss_by_chance(0.05) == 0
    assert Gain(-0.1, 0.0, 10, 30).loss_by_chance(0.2) == 1


def test_images_of_one_unit_count_together():
    rng = np.random.default_rng(2)
    a, b = (np.repeat(rows(rng, 10, right), 5, axis=0) for right in (0.8, 0.75))
    names = ["dice/disc"]
    apart = paired_gains(METRICS, a, b, np.arange(50), names)["dice/disc"]
    together = paired_gains(METRICS, a, b, np.arange(50) // 5, names)["dice/disc"]
    assert (apart.n, together.n) == (50, 10)
    assert together.error > 2 * apart.error


def test_holm_by_hand_and_what_is_not_known_is_no_comparison():
    found = holm([0.01, 0.04, 0.03, 0.005, 0.5])  # times 4, 2, 3, 5, 1, none below one before it
    assert found == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5])
    with_nan = holm([0.01, math.nan, 0.04])
    assert with_nan[::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(with_nan[1])


def test_support_is_the_units_with_true_pixels():
    sums = np.zeros((6, 9))
    sums[:, 8] = 5  # the bar is predicted everywhere
    sums[:2, 5] = 5  # and is in two units
    sums[:4, 4] = 5
    sums[:5, 3] = 5
    found = supporting_units(METRICS, sums)
    assert (found["dice/bar"], found["recall/disc"], found["iou/background"]) == (2, 4, 5)
    assert (found["dice_foreground"], found["miou"], found["pixel_accuracy"]) == (2, 2, 5)
    sums[:, 5] = 0  # a class that is nowhere takes nothing away from a mean
    assert supporting_units(METRICS, sums)["dice_foreground"] == 4
    assert true_pixels(METRICS, sums).tolist() == sums[:, 3:6].tolist()
