import numpy as np
import pytest
import torch
from monai.losses import SoftclDiceLoss
from skimage.morphology import skeletonize

from maskmill.losses.cldice import _skeleton, cldice


def sure(ids, classes=2):
    return 60.0 * torch.nn.functional.one_hot(ids, classes).movedim(-1, 1)


@pytest.fixture
def tubes():
    """(1, 24, 24): two lines, 3 px thick, that cross."""
    target = torch.zeros(1, 24, 24, dtype=torch.long)
    target[:, 10:13, 2:22] = 1
    target[:, 2:22, 5:8] = 1
    return target


@pytest.mark.parametrize("iterations", [1, 3, 5])
def test_equals_monai_for_each_class(iterations):
    generator = torch.Generator().manual_seed(0)
    logits, target = (
        torch.randn(1, 3, 9, 8, generator=generator),
        torch.randint(0, 3, (1, 9, 8), generator=generator),
    )
    reference = SoftclDiceLoss(iter_=iterations, smooth=1e-12)
    p, y = logits.softmax(1), torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    expected = [reference(p[:, k : k + 1], y[:, k : k + 1]).item() for k in (1, 2)]
    value = cldice(ignore_index=255, foreground={"a": 1, "b": 2}, iterations=iterations)(
        logits, target
    )
    assert value.item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    value = cldice(
        ignore_index=255, foreground={"a": 1, "b": 2}, classes=["b"], iterations=iterations
    )(logits, target)
    assert value.item() == pytest.approx(expected[1], rel=1e-5)


def test_the_skeleton_lies_where_scikit_image_finds_it(tubes):
    soft = (
        _skeleton(tubes[:, None].float(), torch.ones(1, 1, 24, 24, dtype=torch.bool), 3)[
            0, 0
        ].numpy()
        > 0.5
    )
    exact = skeletonize(tubes[0].numpy() > 0)
    near = np.pad(soft, 1)
    near = np.any([near[dy : dy + 24, dx : dx + 24] for dy in range(3) for dx in range(3)], axis=0)
    assert (exact & ~near).sum() <= 4  # the ends
    assert soft.sum() < 0.5 * tubes.sum()


def test_a_gap_costs_more_than_a_thin_edge_of_as_many_pixels(tubes):
    gap, thinner = tubes.clone(), tubes.clone()
    gap[:, 10:13, 14:18] = 0  # 12 pixels, the line is broken
    thinner[:, 10, 10:22] = 0  # 12 pixels, the line goes on
    loss = cldice(ignore_index=255, foreground={"vessel": 1})
    assert loss(sure(gap), tubes) > 2 * loss(sure(thinner), tubes)


def test_a_line_that_touches_ignored_pixels_keeps_its_skeleton(tubes):
    hole = tubes.clone()
    hole[:, :9] = 255
    soft = _skeleton((hole == 1)[:, None].float(), (hole != 255)[:, None], 3)
    cut = _skeleton(
        (tubes[:, 9:] == 1)[:, None].float(), torch.ones(1, 1, 15, 24, dtype=torch.bool), 3
    )
    assert torch.equal(soft[:, :, 9:], cut)
    assert not soft[:, :, :9].any()


def test_a_foreground_class_that_is_absent_costs_nothing():
    logits = torch.zeros(1, 2, 6, 6, requires_grad=True)
    value = cldice(ignore_index=255, foreground={"vessel": 1})(
        logits, torch.zeros(1, 6, 6, dtype=torch.long)
    )
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
