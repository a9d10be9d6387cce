import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from maskmill.losses import class_weights
from maskmill.losses.cross_entropy import cross_entropy
from maskmill.losses.focal import focal

CLASSES = ("sky", "car", "pole")
PIXELS = np.array([[60, 40, 0], [90, 0, 10]])  # two images of 100 labelled pixels


def test_inverse_frequency_by_hand():
    weights = class_weights("inverse", CLASSES, PIXELS)
    assert weights == pytest.approx([200 / (3 * 150), 200 / (3 * 40), 200 / (3 * 10)])


def test_inverse_frequency_is_what_scikit_learn_calls_balanced():
    labels = np.repeat(range(3), PIXELS.sum(0))
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert class_weights("inverse", CLASSES, PIXELS) == pytest.approx(expected)


def test_median_frequency_counts_the_images_that_hold_the_class():
    frequency = np.array([150 / 200, 40 / 100, 10 / 100])
    assert class_weights("median", CLASSES, PIXELS) == pytest.approx(0.4 / frequency)


def test_a_class_without_a_pixel_weighs_1_and_the_others_as_if_it_were_not_listed():
    wide = np.concatenate([PIXELS, np.zeros((2, 1), int)], axis=1)
    for kind in ("inverse", "median"):
        assert class_weights(kind, (*CLASSES, "tram"), wide) == (
            *class_weights(kind, CLASSES, PIXELS),
            1.0,
        )


def test_without_any_labelled_pixel_all_weigh_1():
    assert class_weights("median", CLASSES, np.zeros((2, 3))) == (1.0, 1.0, 1.0)


def test_given_weights_are_by_name_and_the_rest_weighs_1():
    assert class_weights({"pole": 5, "sky": 0.5}, CLASSES, PIXELS) == (0.5, 1.0, 5.0)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 3, (2, 6, 5), generator=generator)
    target[0, :2] = 255
    return torch.randn(2, 3, 6, 5, generator=generator), target


def test_weighted_cross_entropy_is_the_weighted_mean_of_pytorch(batch):
    logits, target = batch
    weights = (0.5, 1.0, 7.0)
    expected = torch.nn.functional.cross_entropy(
        logits, target, weight=torch.tensor(weights), ignore_index=255
    )
    value = cross_entropy(ignore_index=255, class_weights=weights)(logits, target)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("make", [cross_entropy, focal])
def test_only_the_ratio_of_weights_matters(make, batch):
    one, ten = (
        make(ignore_index=255, class_weights=weights)(*batch)
        for weights in ((1, 2, 3), (10, 20, 30))
    )
    assert one.item() == pytest.approx(ten.item(), rel=1e-6)
    equal = make(ignore_index=255, class_weights=(4, 4, 4))(*batch)
    assert equal.item() == pytest.approx(make(ignore_index=255)(*batch).item(), rel=1e-6)


def test_a_heavier_class_pulls_more(batch):
    logits, target = batch
    target = target.where(target != 2, 1)
    pulls = []
    for weight in (1.0, 9.0):
        x = logits.clone().requires_grad_()
        cross_entropy(ignore_index=255, class_weights=(1.0, weight, 1.0))(x, target).backward()
        pulls.append(
            x.grad.movedim(1, -1)[target == 1].abs().sum()
            / x.grad.movedim(1, -1)[target == 0].abs().sum()
        )
    assert pulls[1].item() == pytest.approx(9 * pulls[0].item(), rel=1e-5)
