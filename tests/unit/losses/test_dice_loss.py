import math

import pytest
import torch

from maskmill.losses.dice import dice


def probabilities(p):
    """Logits of two classes, the second of probability `p`, for pixels in one row."""
    p = torch.tensor(p)
    return torch.stack([(1 - p).log(), p.log()])[None, :, None]  # (1, 2, 1, W)


def test_two_pixels_by_hand():
    logits, target = probabilities([0.75, 0.5]), torch.tensor([[[1, 0]]])
    first, second = 2 * 0.5 / (0.75 + 1), 2 * 0.75 / (1.25 + 1)
    assert dice(ignore_index=255)(logits, target).item() == pytest.approx(1 - (first + second) / 2)


def test_a_class_that_is_absent_from_the_target_is_left_out():
    logits, target = probabilities([0.25, 0.5]), torch.tensor([[[0, 0]]])
    assert dice(ignore_index=255)(logits, target).item() == pytest.approx(1 - 2 * 1.25 / (1.25 + 2))


def test_a_class_that_only_ignored_pixels_hold_is_left_out():
    three = torch.tensor([[[math.log(2), 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]])[None]  # (1, 3, 1, 2)
    loss = dice(ignore_index=2)
    assert loss(three, torch.tensor([[[0, 2]]])).item() == pytest.approx(1 - 2 * 0.5 / (0.5 + 1))


def test_it_is_over_the_batch_not_a_mean_over_images():
    logits = torch.cat([probabilities([0.9, 0.9]), probabilities([0.1, 0.2])])
    target = torch.tensor([[[1, 1]], [[0, 1]]])
    overlap, size = 0.9 + 0.9 + 0.2, 0.9 + 0.9 + 0.1 + 0.2 + 3
    other, other_size = 0.9, 0.1 + 0.1 + 0.9 + 0.8 + 1
    assert dice(ignore_index=255)(logits, target).item() == pytest.approx(
        1 - (2 * overlap / size + 2 * other / other_size) / 2
    )
