import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, jaccard_score

from maskmill.metrics.confusion import Confusion, names

IGNORE = 255


def classes(k):
    return tuple(f"c{i}" for i in range(k))


def counted(predicted, truth, k):
    confusion = Confusion(classes(k), IGNORE)
    confusion.update(np.asarray(predicted, np.uint8), np.asarray(truth, np.uint8))
    return confusion


def of(matrix):
    """A confusion with given counts, from as many pixels."""
    matrix = np.asarray(matrix)
    truth, predicted = (np.repeat(i.ravel(), matrix.ravel()) for i in np.indices(matrix.shape))
    return counted(predicted, truth, len(matrix))


def random_case(seed, k=5):
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, (4, 9, 7)).astype(np.uint8), rng.integers(0, k, (4, 9, 7)).astype(np.uint8)


def test_the_case_that_can_be_checked_by_hand():
    confusion = of([[3, 1], [0, 4]])
    assert confusion.matrix.tolist() == [[3, 1], [0, 4]]
    assert confusion.iou().tolist() == pytest.approx([0.75, 0.80])
    assert confusion.dice().tolist() == pytest.approx([6 / 7, 8 / 9])
    scores = confusion.scores((1,))
    assert scores["dice_foreground"] == pytest.approx(8 / 9)
    assert scores["miou_foreground"] == pytest.approx(0.8)
    assert scores["miou"] == pytest.approx(0.775)
    assert scores["pixel_accuracy"] == pytest.approx(7 / 8)
    assert scores["dice/c0"] == pytest.approx(6 / 7)
    assert scores["iou/c1"] == pytest.approx(0.8)


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed):
    predicted, truth = random_case(seed)
    p, t, labels = predicted.ravel(), truth.ravel(), range(5)
    confusion = counted(predicted, truth, 5)
    assert np.array_equal(confusion.matrix, confusion_matrix(t, p, labels=labels))
    assert np.allclose(confusion.iou(), jaccard_score(t, p, labels=labels, average=None), rtol=0, atol=1e-12)
    assert np.allclose(confusion.dice(), f1_score(t, p, labels=labels, average=None), rtol=0, atol=1e-12)
    scores = confusion.scores((1, 2, 3, 4))
    assert scores["dice_foreground"] == pytest.approx(f1_score(t, p, labels=[1, 2, 3, 4], average="macro"), abs=1e-12)
    assert scores["miou"] == pytest.approx(jaccard_score(t, p, labels=labels, average="macro"), abs=1e-12)
    assert scores["pixel_accuracy"] == pytest.approx(accuracy_score(t, p), abs=1e-12)


def test_an_absent_class_is_nan_and_left_out_of_the_means():
    confusion = of([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert math.isnan(confusion.dice()[2])
    assert math.isnan(confusion.iou()[2])
    scores = confusion.scores((1, 2))
    assert scores["dice_foreground"] == pytest.approx(8 / 9)
    assert scores["miou"] == pytest.approx(0.775)
    assert math.isnan(scores["dice/c2"])


def test_a_class_predicted_where_it_is_not_counts_as_0():
    assert of([[3, 1], [0, 0]]).dice()[1] == 0


def test_without_any_foreground_the_headline_is_nan():
    scores = of([[9, 0], [0, 0]]).scores((1,))
    assert math.isnan(scores["dice_foreground"])
    assert scores["pixel_accuracy"] == 1


def test_nothing_counted_is_nan_not_an_error():
    assert all(math.isnan(value) for value in Confusion(classes(2), IGNORE).scores((1,)).values())


def test_ignored_pixels_are_not_counted_whatever_was_predicted():
    predicted, truth = random_case(0)
    ignored = np.random.default_rng(1).random(truth.shape) < 0.4
    given = counted(predicted, np.where(ignored, IGNORE, truth), 5)
    assert np.array_equal(given.matrix, counted(predicted[~ignored], truth[~ignored], 5).matrix)


def test_an_ignore_index_right_above_the_classes_works():
    confusion = Confusion(classes(3), 3)
    confusion.update(np.array([0, 1, 2, 2], np.uint8), np.array([0, 3, 2, 3], np.uint8))
    assert confusion.matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_many_classes_do_not_wrap_around_in_8_bits():
    ids = np.arange(200, dtype=np.uint8)
    confusion = counted(ids[::-1], ids, 200)
    assert np.array_equal(confusion.matrix, np.eye(200, dtype=np.int64)[::-1])


@given(
    hnp.arrays(np.uint8, (6, 4, 4), elements=st.integers(0, 2)),
    hnp.arrays(np.uint8, (6, 4, 4), elements=st.sampled_from([0, 1, 2, IGNORE])),
    st.permutations(range(6)),
    st.sets(st.integers(1, 5)),
)
def test_neither_order_nor_batches_change_the_counts(predicted, truth, order, cuts):
    whole = counted(predicted, truth, 3)
    parts = Confusion(classes(3), IGNORE)
    for batch in np.split(np.array(order), sorted(cuts)):
        parts.update(predicted[batch], truth[batch])
    assert np.array_equal(parts.matrix, whole.matrix)


@given(st.lists(hnp.arrays(np.int64, (3, 3), elements=st.integers(0, 20)), min_size=1, max_size=4))
def test_matrices_of_several_processes_add_up(matrices):
    total = Confusion(classes(3), IGNORE)
    for matrix in matrices:
        total.add(of(matrix))
    assert np.array_equal(total.matrix, sum(matrices))


@given(hnp.arrays(np.int64, (4, 4), elements=st.integers(0, 20)))
def test_scores_lie_between_0_and_1_and_dice_follows_from_iou(matrix):
    dice, iou = of(matrix).dice(), of(matrix).iou()
    assert np.array_equal(np.isnan(dice), np.isnan(iou))
    present = ~np.isnan(dice)
    assert ((dice[present] >= 0) & (dice[present] <= 1)).all()
    assert np.allclose(dice[present], 2 * iou[present] / (1 + iou[present]), atol=1e-12)


def test_an_id_outside_the_classes_is_our_mistake():
    with pytest.raises(AssertionError, match="outside the classes"):
        counted([0], [7], 3)
    with pytest.raises(AssertionError, match="outside the classes"):
        counted([3], [0], 3)


def test_names_are_those_of_the_scores():
    assert names(classes(2)) == list(of([[1, 0], [0, 1]]).scores((1,)))
    assert "dice_foreground" in names(classes(2))
