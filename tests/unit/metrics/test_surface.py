import math
import warnings

import numpy as np
import pytest
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from maskmill.metrics.surface import surface
from tests.unit.metrics.cases import IGNORE, blobs, labels, one_class, one_hot, sample, scores


def monai(one, tolerance_px, k=3):
    """HD95 and surface Dice, (K - 1) each; MONAI warns of empty masks."""
    p, t = one_hot(one.predicted, k), one_hot(one.truth, k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            compute_hausdorff_distance(p, t, percentile=95)[0].tolist(),
            compute_surface_dice(p, t, [tolerance_px] * (k - 1))[0].tolist(),
        )


def test_a_line_moved_by_two_pixels():
    moved = one_class("##### ..... ..... .....", "..... ..... ##### .....")
    found = scores(surface(labels=labels(), tolerance_px=1.5), moved)
    assert (found["hd95/b"], found["nsd/b"]) == (2, 0)
    assert scores(surface(labels=labels(), tolerance_px=2.0), moved)["nsd/b"] == 1


def test_one_far_pixel_by_hand():
    stray = one_class("#...#", "#....")
    found = scores(surface(labels=labels(), tolerance_px=1.0), stray)
    # of the distances 0 and 4, linear between them
    assert found["hd95/b"] == pytest.approx(0.95 * 4)
    assert found["nsd/b"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("tolerance_px", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("seed", range(6))
def test_equals_monai(seed, tolerance_px):
    one = blobs(seed)
    found = scores(surface(labels=labels(), tolerance_px=tolerance_px), one)
    hd95, nsd = monai(one, tolerance_px)
    assert [found["hd95/b"], found["hd95/c"]] == pytest.approx(hd95, rel=1e-6)
    assert [found["nsd/b"], found["nsd/c"]] == pytest.approx(nsd, abs=1e-6)


def test_over_images_it_is_the_mean_of_monai_where_the_class_is():
    samples = [blobs(seed, size=(12, 9)) for seed in range(8)]
    samples = [
        one
        for one in samples
        if {1, 2} <= set(one.predicted.unique().tolist()) & set(one.truth.unique().tolist())
    ]
    assert len(samples) > 1
    both_absent = sample(np.zeros((12, 9)), np.zeros((12, 9)))
    found = scores(surface(labels=labels()), *samples, both_absent)
    expected = np.mean([monai(one, 2.0) for one in samples], axis=0)
    assert [found["hd95/b"], found["hd95/c"]] == pytest.approx(expected[0], rel=1e-6)
    assert [found["nsd/b"], found["nsd/c"]] == pytest.approx(expected[1], abs=1e-6)
    assert all(math.isnan(value) for value in np.ravel(monai(both_absent, 2.0)))


def test_a_missing_mask_has_the_score_of_monai_and_a_finite_distance():
    missed = sample(np.zeros((3, 4)), np.pad(np.ones((1, 2)), 1))
    found = scores(surface(labels=labels()), missed)
    hd95, nsd = monai(missed, 2.0)
    assert found["nsd/b"] == nsd[0] == 0
    assert math.isinf(hd95[0]) or math.isnan(hd95[0])
    assert found["hd95/b"] == 5  # the diagonal


def test_ignored_pixels_are_cut_out_of_both_masks():
    truth = blobs(3).truth.numpy().copy()
    truth[:, 20:] = IGNORE
    found = scores(surface(labels=labels()), sample(blobs(3).predicted, truth))
    alone = [ids[:, :20] for ids in (blobs(3).predicted, blobs(3).truth)]
    # as if the image ended there
    assert found["nsd/b"] == pytest.approx(
        scores(surface(labels=labels()), sample(*alone))["nsd/b"]
    )
    beyond = one_class("..##..", "..#???")
    assert scores(surface(labels=labels()), beyond)["hd95/b"] == 0


def test_one_wrong_pixel_inside_an_object_ringed_by_ignored_pixels_is_no_missed_object():
    """Pascal VOC draws such rings: the outline is that of the mask without them."""
    y, x = np.mgrid[:80, :80]
    away = np.hypot(y - 40, x - 40)
    truth = np.where(away < 30, 1, np.where(away < 34, IGNORE, 0))
    predicted = np.where(away < 32, 1, 0)
    family = surface(labels=labels(), tolerance_px=2.0)
    perfect = scores(family, sample(predicted, truth))
    assert (perfect["hd95/b"], perfect["nsd/b"]) == (0, 1)
    predicted[40, 40] = 0
    hole = scores(family, sample(predicted, truth))
    assert hole["hd95/b"] == 0, "4 of 170 boundary pixels are fewer than 5 %"
    assert 0.95 < hole["nsd/b"] < 1
