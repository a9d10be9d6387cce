import numpy as np
import pytest
import torch
from skimage.measure import label
from torchmetrics.functional.detection import panoptic_quality

from maskmill.metrics.objects import matched_ious, objects
from tests.unit.metrics.cases import blobs, labels, one_class, scores


def test_one_found_one_missed_one_invented():
    found = scores(objects(labels=labels()), one_class("##... ..... #...#", "###.. ..... ....#"))
    # ## in ### has IoU 2/3, the right # has 1, the left # is invented
    assert found["object_f1/b"] == found["object_f1_foreground"] == pytest.approx(4 / 5)
    assert (found["object_precision/b"], found["object_recall/b"]) == (pytest.approx(2 / 3), 1)
    assert found["object_iou/b"] == pytest.approx((2 / 3 + 1) / 2)


def test_the_threshold_itself_counts():
    half = one_class("#..", "##.")
    assert scores(objects(labels=labels(), iou=0.5), half)["object_f1/b"] == 1
    assert scores(objects(labels=labels(), iou=0.51), half)["object_f1/b"] == 0


def test_objects_that_touch_are_one_and_corners_touch_if_said_so():
    corner = one_class("#.. .#. ...", "#.. .#. ...")
    for connectivity, count in ((4, 2), (8, 1)):
        family = objects(labels=labels(), connectivity=connectivity)
        assert family.statistic(corner)[family.fields.index("truth/b")] == count


def test_an_object_that_ignored_pixels_cut_is_two():
    family = objects(labels=labels())
    statistic = dict(
        zip(family.fields, family.statistic(one_class("#####", "##?##")).tolist(), strict=True)
    )
    assert (statistic["truth/b"], statistic["predicted/b"], statistic["matched/b"]) == (2, 2, 2)


def test_below_one_half_each_object_has_one_partner_and_the_most_are_matched():
    truth = np.array([[1, 1, 1, 1, 2, 2]])
    predicted = np.array([[1, 1, 2, 2, 2, 2]])  # IoU: t1 with p1 1/2, with p2 1/3; t2 with p2 1/2
    assert matched_ious(truth, predicted, 0.3).tolist() == [0.5, 0.5]
    split = np.array([[1, 1, 2, 2]])  # two halves of one object, each of IoU 1/2
    assert matched_ious(np.ones_like(split), split, 0.5).tolist() == [0.5]
    crossed = matched_ious(np.array([[1, 1, 1, 0, 2]]), np.array([[1, 1, 2, 2, 2]]), 0.1)
    assert sorted(crossed.tolist()) == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("smooth", [0.7, 1.5])
@pytest.mark.parametrize("seed", range(4))
def test_equals_panoptic_quality_of_torchmetrics(seed, smooth):
    samples = [blobs(10 * seed + i, smooth=smooth) for i in range(2)]
    found = scores(objects(labels=labels(), iou=0.5000001), *samples)  # above one half, as there

    def instances(ids):
        ids = ids.numpy()
        parts = sum(
            (label(ids == c, connectivity=2) for c in (1, 2)), start=np.zeros_like(ids, np.int64)
        )
        return torch.tensor(np.stack([ids, parts], axis=-1).astype(np.int64))

    predicted, truth = (
        torch.stack([instances(getattr(one, side)) for one in samples])
        for side in ("predicted", "truth")
    )
    every = panoptic_quality(
        predicted, truth, {1, 2}, {0}, return_sq_and_rq=True, return_per_class=True
    )
    for (_, sq, rq), c in zip(every.reshape(3, 3)[:2].tolist(), "bc", strict=True):
        assert found[f"object_f1/{c}"] == pytest.approx(rq, abs=1e-6)
        assert found[f"object_iou/{c}"] == pytest.approx(sq, abs=1e-6)
