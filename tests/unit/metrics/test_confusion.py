import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from maskmill.metrics import Labels, confusion
from maskmill.metrics.confusion import Confusion, matrix_margins, names

IGNORE = 255


def labels(k, ignore=IGNORE):
    return Labels(tuple(f"c{i}" for i in range(k)), tuple(range(1, k)), ignore)


def counted(predicted, truth, k, ignore=IGNORE):
    return confusion.confusion_matrix(
        torch.tensor(np.array(predicted, np.uint8)),
        torch.tensor(np.array(truth, np.uint8)),
        labels(k, ignore),
    )


def of(counts):
    """The scores of given counts."""
    counts = torch.tensor(np.asarray(counts))
    return {
        name: float(score)
        for name, score in Confusion(labels(len(counts))).scores(matrix_margins(counts)).items()
    }


def each(scores, name, k):
    return [scores[f"{name}/c{i}"] for i in range(k)]


def random_case(seed, k=5):
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, (4, 9, 7)).astype(np.uint8), rng.integers(0, k, (4, 9, 7)).astype(
        np.uint8
    )


def test_the_case_that_can_be_checked_by_hand():
    scores = of([[3, 1], [0, 4]])
    assert each(scores, "iou", 2) == pytest.approx([0.75, 0.80])
    assert each(scores, "dice", 2) == pytest.approx([6 / 7, 8 / 9])
    assert each(scores, "precision", 2) == pytest.approx([1, 4 / 5])
    assert each(scores, "recall", 2) == pytest.approx([3 / 4, 1])
    assert scores["dice_foreground"] == scores["dice_micro"] == pytest.approx(8 / 9)
    assert scores["miou_foreground"] == scores["iou_micro"] == pytest.approx(0.8)
    assert scores["precision_foreground"] == pytest.approx(4 / 5)
    assert scores["recall_foreground"] == 1
    assert scores["miou"] == scores["fw_iou"] == pytest.approx(0.775)
    assert scores["mean_accuracy"] == scores["pixel_accuracy"] == pytest.approx(7 / 8)


def test_large_classes_count_more_in_the_micro_and_weighted_means_alone():
    scores = of([[0, 0, 0], [0, 90, 10], [0, 0, 10]])
    iou = [0.9, 0.5]
    assert scores["miou_foreground"] == pytest.approx(np.mean(iou))
    assert scores["iou_micro"] == pytest.approx(100 / 120)
    assert scores["fw_iou"] == pytest.approx((100 * 0.9 + 10 * 0.5) / 110)
    assert scores["mean_accuracy"] == pytest.approx((0.9 + 1) / 2)
    assert scores["pixel_accuracy"] == pytest.approx(100 / 110)


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed):
    predicted, truth = random_case(seed)
    p, t, every = predicted.ravel(), truth.ravel(), range(5)
    counts = counted(predicted, truth, 5)
    assert np.array_equal(counts, confusion_matrix(t, p, labels=every))
    scores = of(counts)
    reference = {
        "iou": jaccard_score,
        "dice": f1_score,
        "precision": precision_score,
        "recall": recall_score,
    }
    for name, function in reference.items():
        expected = function(t, p, labels=every, average=None)
        assert each(scores, name, 5) == pytest.approx(expected, abs=1e-12)
        assert scores["dice_foreground"] == pytest.approx(
            f1_score(t, p, labels=[1, 2, 3, 4], average="macro"), abs=1e-12
        )
    assert scores["dice_micro"] == pytest.approx(
        f1_score(t, p, labels=[1, 2, 3, 4], average="micro"), abs=1e-12
    )
    assert scores["iou_micro"] == pytest.approx(
        jaccard_score(t, p, labels=[1, 2, 3, 4], average="micro"), abs=1e-12
    )
    assert scores["fw_iou"] == pytest.approx(
        jaccard_score(t, p, labels=every, average="weighted"), abs=1e-12
    )
    assert scores["miou"] == pytest.approx(
        jaccard_score(t, p, labels=every, average="macro"), abs=1e-12
    )
    assert scores["mean_accuracy"] == pytest.approx(balanced_accuracy_score(t, p), abs=1e-12)
    assert scores["pixel_accuracy"] == pytest.approx(accuracy_score(t, p), abs=1e-12)


def test_an_absent_class_is_nan_and_left_out_of_the_means():
    scores = of([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert all(math.isnan(scores[f"{name}/c2"]) for name in ("dice", "iou", "precision", "recall"))
    assert scores["dice_foreground"] == pytest.approx(8 / 9)
    assert scores["miou"] == pytest.approx(0.775)


def test_a_class_predicted_where_it_is_not_counts_as_0():
    assert of([[3, 1], [0, 0]])["dice/c1"] == 0


def test_without_any_foreground_the_headline_is_nan():
    scores = of([[9, 0], [0, 0]])
    assert math.isnan(scores["dice_foreground"])
    assert scores["pixel_accuracy"] == 1


def test_nothing_counted_is_nan_not_an_error():
    assert all(math.isnan(value) for value in of([[0, 0], [0, 0]]).values())
    assert all(math.isnan(value) for value in Confusion(labels(2)).over([]).values())


def test_ignored_pixels_are_not_counted_whatever_was_predicted():
    predicted, truth = random_case(0)
    ignored = np.random.default_rng(1).random(truth.shape) < 0.4
    given = counted(predicted, np.where(ignored, IGNORE, truth), 5)
    assert np.array_equal(given, counted(predicted[~ignored], truth[~ignored], 5))


def test_an_ignore_index_right_above_the_classes_works():
    counts = counted([0, 1, 2, 2], [0, 3, 2, 3], 3, ignore=3)
    assert counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("k", [2, 15, 16, 180, 181, 250])
def test_no_number_of_classes_wraps_around(k):
    ids = np.arange(k, dtype=np.uint8)
    assert np.array_equal(counted(ids[::-1], ids, k), np.eye(k, dtype=np.int64)[::-1])


@given(
    hnp.arrays(np.uint8, (6, 4, 4), elements=st.integers(0, 2)),
    hnp.arrays(np.uint8, (6, 4, 4), elements=st.sampled_from([0, 1, 2, IGNORE])),
    st.permutations(range(6)),
    st.sets(st.integers(1, 5)),
)
def test_neither_order_nor_batches_nor_processes_change_the_counts(predicted, truth, order, cuts):
    family = Confusion(labels(3))
    whole = family.of(torch.tensor(predicted), torch.tensor(truth))
    batches = [b for b in np.split(np.array(order), sorted(cuts)) if len(b)]
    parts = [family.of(torch.tensor(predicted[b]), torch.tensor(truth[b])) for b in batches]
    assert torch.equal(torch.stack(parts).sum(0), whole)


@given(hnp.arrays(np.int64, (4, 4), elements=st.integers(0, 20)))
def test_scores_lie_between_0_and_1_and_dice_follows_from_iou(counts):
    scores = of(counts)
    dice, iou = np.array(each(scores, "dice", 4)), np.array(each(scores, "iou", 4))
    assert np.array_equal(np.isnan(dice), np.isnan(iou))
    present = ~np.isnan(dice)
    assert ((dice[present] >= 0) & (dice[present] <= 1)).all()
    assert np.allclose(dice[present], 2 * iou[present] / (1 + iou[present]), atol=1e-12)


def test_many_sums_are_scored_at_once():
    family = Confusion(labels(3))
    sums = torch.randint(0, 9, (2, 5, 9)).double()
    every = family.scores(sums)
    for name, score in family.scores(sums[1, 3]).items():
        assert torch.equal(every[name][1, 3].nan_to_num(-1), score.nan_to_num(-1))


def test_an_id_outside_the_classes_is_our_mistake():
    with pytest.raises(AssertionError, match="outside the classes"):
        counted([0], [7], 3)
    with pytest.raises(AssertionError, match="outside the classes"):
        counted([3], [0], 3)


def test_names_are_those_of_the_scores_and_each_is_defined():
    scores = of([[1, 0], [0, 1]])
    assert names(("c0", "c1")) == list(scores)
    definitions = Confusion(labels(2)).definitions
    assert all(name in definitions or f"{name.split('/')[0]}/" in definitions for name in scores)
