import math

import cv2
import numpy as np
import pytest
from skimage.segmentation import find_boundaries
from sklearn.neighbors import NearestNeighbors

from maskmill.metrics.boundary import boundary
from tests.unit.metrics.cases import IGNORE, blobs, labels, one_class, sample, scores


def outline(mask):
    return find_boundaries(np.pad(mask, 1), connectivity=1, mode="inner")[1:-1, 1:-1]


def near(a, b, tolerance_px):
    """Share of the points of `a` with a point of `b` within the tolerance."""
    return (
        NearestNeighbors(n_neighbors=1).fit(np.argwhere(b)).kneighbors(np.argwhere(a))[0]
        <= tolerance_px
    ).mean()


def test_a_line_moved_by_one_pixel():
    moved = one_class("..... ##### ..... .....", "..... ..... ##### .....")
    for tolerance_px, expected in ((0.0, 0), (0.9, 0), (1.0, 1)):
        assert (
            scores(boundary(labels=labels(), tolerance_px=tolerance_px), moved)["boundary_f1/b"]
            == expected
        )


def test_precision_and_recall_by_hand():
    # all true pixels are met, half of the predicted ones
    longer = one_class(".... #### ....", ".... ##.. ....")
    assert scores(boundary(labels=labels(), tolerance_px=0.5), longer)[
        "boundary_f1/b"
    ] == pytest.approx(2 / 3)


def test_the_band_by_hand():
    square, smaller = "..... .###. .###. .###. .....", "..... .###. .###. ..... ....."
    found = scores(boundary(labels=labels()), one_class(smaller, square))
    # 8 of the square, 6 of the other, 5 in common
    assert found["boundary_iou/b"] == pytest.approx(5 / 9)


def ringed(predicted_hole=()):
    """A disc that a ring of ignored pixels surrounds, as in Pascal VOC; `predicted_hole`: wrong."""
    y, x = np.mgrid[:60, :60]
    away = np.hypot(y - 30, x - 30)
    truth = np.where(away < 20, 1, np.where(away < 24, IGNORE, 0))
    predicted = np.where(away < 22, 1, 0)
    for place in predicted_hole:
        predicted[place] = 0
    return sample(predicted, truth)


def test_an_object_ringed_by_ignored_pixels_has_an_outline():
    """One wrong pixel inside costs little; that nothing is found costs all."""
    family = boundary(labels=labels(), tolerance_px=2.0)
    perfect, hole = scores(family, ringed()), scores(family, ringed([(30, 30)]))
    assert perfect["boundary_f1/b"] == perfect["boundary_iou/b"] == 1
    assert 0.95 < hole["boundary_f1/b"] < 1
    assert 0.8 < hole["boundary_iou/b"] < 1
    missed = sample(np.zeros((60, 60)), ringed().truth)
    assert scores(family, missed)["boundary_f1/b"] == 0


def test_ignored_pixels_are_outside_of_both_masks():
    cut = one_class("##.. ##.. ##..", "##?? ##?? ##??")
    assert scores(boundary(labels=labels(), tolerance_px=0.0), cut)["boundary_f1/b"] == 1
    alone = one_class("??? ?#? ???", "??? ?#? ???")
    assert scores(boundary(labels=labels()), alone)["boundary_f1/b"] == 1


def test_the_tolerance_is_a_share_of_the_diagonal_unless_it_is_in_pixels():
    one = blobs(0, size=(30, 40))  # the diagonal is 50 px
    shares = scores(boundary(labels=labels(), tolerance_share=0.04), one)
    assert shares == pytest.approx(scores(boundary(labels=labels(), tolerance_px=2.0), one))
    assert shares != pytest.approx(scores(boundary(labels=labels()), one))


@pytest.mark.parametrize("seed", range(5))
def test_boundary_f1_equals_scikit_image_and_scikit_learn(seed):
    one, tolerance_px = blobs(seed), 1.5
    found = scores(boundary(labels=labels(), tolerance_px=tolerance_px), one)
    for i, c in ((1, "b"), (2, "c")):
        predicted, truth = outline(one.predicted.numpy() == i), outline(one.truth.numpy() == i)
        precision, recall = (
            near(predicted, truth, tolerance_px),
            near(truth, predicted, tolerance_px),
        )
        assert found[f"boundary_f1/{c}"] == pytest.approx(
            2 * precision * recall / (precision + recall), abs=1e-12
        )


@pytest.mark.parametrize("ignored_px", [0, 15])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.02, 0.08])
def test_boundary_iou_equals_erosion_by_opencv_without_ignored_pixels(seed, share, ignored_px):
    one = blobs(seed)
    truth = one.truth.numpy().copy()
    truth[:, :ignored_px] = IGNORE
    ignored, width_px = truth == IGNORE, max(1, round(share * math.hypot(*truth.shape)))

    def band(ids, i):
        mask = (ids == i) & ~ignored
        padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        return mask & ~cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width_px)[
            1:-1, 1:-1
        ].astype(bool)

    found = scores(boundary(labels=labels(), band_share=share), sample(one.predicted, truth))
    for i, c in ((1, "b"), (2, "c")):
        p, t = band(one.predicted.numpy(), i), band(truth, i)
        assert found[f"boundary_iou/{c}"] == pytest.approx((p & t).sum() / (p | t).sum(), abs=1e-12)
