import itertools
import math

import numpy as np
import pytest
import torch

from maskmill.losses.boundary import boundary


def to_contour(ids, k, ignore=255):
    """(H, W): the distance from each labelled pixel to the contour of class k.

    That is to the nearest labelled pixel on the other side of it, less half a pixel.
    """
    out = np.zeros(ids.shape)
    places = [(y, x) for y, x in itertools.product(*map(range, ids.shape)) if ids[y, x] != ignore]
    for here in places:
        others = [
            math.dist(here, there) for there in places if (ids[there] == k) != (ids[here] == k)
        ]
        out[here] = min(others) - 0.5 if others else 0
    return out


def test_equals_all_pairs_of_pixels():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 6, 5, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 3, (2, 6, 5), generator=generator)  # class 3 is absent
    target[0, 2:4] = 255
    target[1] = target[1].where(target[1] != 2, 0)  # class 2 is absent from one image
    p = logits.softmax(1).numpy()
    expected = 0.0
    for n, k in itertools.product(range(2), (1, 2, 3)):
        ids = target[n].numpy()
        expected += (to_contour(ids, k) * np.abs(p[n, k] - (ids == k))).sum()
    expected /= (target != 255).sum().item()
    value = boundary(ignore_index=255, foreground={"b": 1, "c": 2, "d": 3})(logits, target)
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_a_shifted_edge_by_hand():
    target = torch.tensor([[[1, 1, 0, 0, 0, 0]]])
    predicted = torch.tensor([[[1, 1, 1, 1, 0, 0]]])  # 0.5 and 1.5 px beyond the contour
    logits = 60.0 * torch.nn.functional.one_hot(predicted, 2).movedim(-1, 1)
    assert boundary(ignore_index=255, foreground={"disc": 1})(
        logits, target
    ).item() == pytest.approx(2 / 6)
    assert boundary(ignore_index=255)(logits, target).item() == pytest.approx(4 / 6)


def test_the_gradient_is_that_of_the_signed_distance_times_the_probability():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 5, 6, generator=generator, requires_grad=True)
    target = torch.randint(0, 2, (1, 5, 6), generator=generator)
    phi = torch.tensor(to_contour(target[0].numpy(), 1)) * torch.where(target == 1, -1, 1)
    (expected,) = torch.autograd.grad((phi * logits.softmax(1)[:, 1]).mean(), logits)
    (gradient,) = torch.autograd.grad(
        boundary(ignore_index=255, foreground={"disc": 1})(logits, target), logits
    )
    torch.testing.assert_close(gradient, expected.float())


@pytest.mark.parametrize("ids", [0, 1])
def test_an_image_without_a_contour_costs_nothing(ids):
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    value = boundary(ignore_index=255)(logits, torch.full((1, 4, 4), ids))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()


def test_an_ignored_pixel_makes_no_contour():
    whole, hole = torch.tensor([[[1, 1, 1, 1, 0, 0]]]), torch.tensor([[[1, 255, 1, 1, 0, 0]]])
    logits = torch.zeros(1, 2, 1, 6)
    loss = boundary(ignore_index=255, foreground={"disc": 1})
    assert 5 * loss(logits, hole).item() == pytest.approx(
        6 * loss(logits, whole).item() - 0.5 * 2.5
    )
