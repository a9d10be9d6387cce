import pytest
import torch
from monai.losses import TverskyLoss

from maskmill.losses.dice import dice
from maskmill.losses.tversky import tversky


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 6, 5, generator=generator), torch.randint(
        0, 3, (2, 6, 5), generator=generator
    )


def test_two_pixels_by_hand():
    p = torch.tensor([0.75, 0.5])  # of class 1
    logits = torch.stack([(1 - p).log(), p.log()])[None, :, None]  # (1, 2, 1, 2)
    first = 0.5 / (0.5 + 0.2 * 0.25 + 0.8 * 0.5)
    second = 0.75 / (0.75 + 0.2 * 0.5 + 0.8 * 0.25)
    value = tversky(ignore_index=255, alpha=0.2, beta=0.8)(logits, torch.tensor([[[1, 0]]]))
    assert value.item() == pytest.approx(1 - (first + second) / 2)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.5, 0.5), (1.0, 1.0)])
def test_equals_monai(batch, alpha, beta):
    logits, target = batch
    settings = {
        "softmax": True,
        "to_onehot_y": True,
        "batch": True,
        "smooth_nr": 0.0,
        "smooth_dr": 0.0,
    }
    expected = TverskyLoss(alpha=alpha, beta=beta, **settings)(logits, target[:, None])
    value = tversky(ignore_index=255, alpha=alpha, beta=beta)(logits, target)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


def test_halves_are_dice(batch):
    value = tversky(ignore_index=255, alpha=0.5, beta=0.5)(*batch)
    assert value.item() == pytest.approx(dice(ignore_index=255)(*batch).item(), rel=1e-6)


def test_beta_above_alpha_makes_a_missed_pixel_dearer_than_an_invented_one():
    target = torch.tensor([[[0] * 18 + [1, 1]]])  # the common class hardly notices either
    missed, invented = target.clone(), target.clone()
    missed[..., 18], invented[..., 17] = 0, 1
    sure = [9.0 * torch.nn.functional.one_hot(ids, 2).movedim(-1, 1) for ids in (missed, invented)]
    recall, precision = (
        tversky(ignore_index=255, alpha=0.1, beta=0.9),
        tversky(ignore_index=255, alpha=0.9, beta=0.1),
    )
    assert recall(sure[0], target) > 2 * recall(sure[1], target)
    assert precision(sure[0], target) < precision(sure[1], target)


def test_focal_tversky_is_a_root_of_each_class(batch):
    logits, target = batch
    settings = {
        "softmax": True,
        "to_onehot_y": True,
        "batch": True,
        "smooth_nr": 0.0,
        "smooth_dr": 0.0,
    }
    # (K,): 1 - T
    each = TverskyLoss(alpha=0.3, beta=0.7, reduction="none", **settings)(logits, target[:, None])
    value = tversky(ignore_index=255, gamma=4 / 3)(logits, target)
    assert value.item() == pytest.approx((each.flatten() ** (3 / 4)).mean().item(), rel=1e-5)


def test_a_class_that_is_absent_is_left_out():
    logits = torch.zeros(1, 3, 1, 2)
    target = torch.tensor([[[0, 0]]])
    expected = 1 - (2 / 3) / (2 / 3 + 0.7 * (2 - 2 / 3))
    assert tversky(ignore_index=255)(logits, target).item() == pytest.approx(expected)
