import numpy as np
import pytest
from skimage.morphology import skeletonize
from sklearn.metrics import recall_score

from maskmill.metrics.cldice import cldice
from tests.unit.metrics.cases import blobs, labels, one_class, sample, scores


def test_a_gap_by_hand():
    line, gap = "........ ######## ........", "........ ###..### ........"
    found = scores(cldice(labels=labels()), one_class(gap, line))
    # all of the gap's skeleton, 6 of 8
    assert found["cldice/b"] == pytest.approx(2 * 1 * (6 / 8) / (1 + 6 / 8))


def test_width_hardly_counts():
    lines = np.zeros((2, 40, 40))
    lines[0, 15:22, 5:35], lines[1, 18, 5:35] = 1, 1
    assert scores(cldice(labels=labels()), sample(*lines))["cldice/b"] > 0.95  # Dice is 0.25


def test_masks_that_do_not_meet_have_0():
    assert scores(cldice(labels=labels()), one_class("#...", "...#"))["cldice/b"] == 0


@pytest.mark.parametrize("smooth", [1.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_equals_recall_by_scikit_learn_of_skeletons_of_whole_images(seed, smooth):
    one = blobs(seed, smooth=smooth)
    found = scores(cldice(labels=labels()), one)
    for i, c in ((1, "b"), (2, "c")):
        predicted, truth = one.predicted.numpy() == i, one.truth.numpy() == i
        precision = recall_score(skeletonize(predicted).ravel(), truth.ravel())
        sensitivity = recall_score(skeletonize(truth).ravel(), predicted.ravel())
        expected = 2 * precision * sensitivity / (precision + sensitivity)
        assert found[f"cldice/{c}"] == pytest.approx(expected, abs=1e-12)


def test_over_images_it_is_their_mean():
    samples = [blobs(seed) for seed in range(3)]
    alone = [scores(cldice(labels=labels()), one)["cldice/b"] for one in samples]
    assert scores(cldice(labels=labels()), *samples)["cldice/b"] == pytest.approx(np.mean(alone))
