import math

import pytest
import torch
from monai.metrics import compute_dice, compute_iou
from torchmetrics.segmentation import MeanIoU

from maskmill.metrics.per_image import per_image
from tests.unit.metrics.cases import blobs, labels, one_class, one_hot, scores


def test_two_images_by_hand():
    half, full = one_class("##..", "#..."), one_class("####", "####")
    found = scores(per_image(labels=labels()), half, full)
    assert found["image_dice/b"] == found["image_dice_foreground"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["image_iou/b"] == found["image_miou_foreground"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["image_iou/a"] == pytest.approx(2 / 3)  # the second image has none of it
    assert found["image_miou"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert math.isnan(found["image_dice/c"])


@pytest.mark.parametrize("absent_too", [False, True])
def test_equals_monai_and_torchmetrics(absent_too):
    samples = [
        blobs(seed, size=(12, 9) if absent_too and seed % 2 else (37, 52)) for seed in range(6)
    ]
    found = scores(per_image(labels=labels()), *samples)
    pairs = [(one_hot(one.predicted, 3), one_hot(one.truth, 3)) for one in samples]
    for name, function in (("image_dice", compute_dice), ("image_iou", compute_iou)):
        values = torch.cat([function(p, t, ignore_empty=False) for p, t in pairs])
        there = torch.stack([(p + t).sum((0, 2, 3)) > 0 for p, t in pairs])
        assert there.all() != absent_too
        expected = values.where(there, torch.nan).nanmean(0)
        assert [found[f"{name}/{c}"] for c in "abc"] == pytest.approx(expected.tolist(), abs=1e-6)
    reference = MeanIoU(3, per_class=True)
    for p, t in pairs:
        reference.update(p, t)
    assert [found[f"image_iou/{c}"] for c in "abc"] == pytest.approx(
        reference.compute().tolist(), abs=1e-6
    )
    assert found["image_miou"] == pytest.approx(reference.compute().mean().item(), abs=1e-6)
