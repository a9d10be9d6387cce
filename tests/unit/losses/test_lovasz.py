"""The reference goes by the definition: the loss of each set of wrong pixels, one by one."""

import itertools

import pytest
import torch

from maskmill.losses.lovasz import lovasz


def jaccard_loss(truth, wrong):
    """1 - IoU of one class where exactly the pixels of the set `wrong` are mistaken."""
    predicted = {i for i, inside in enumerate(truth) if inside != (i in wrong)}
    true = {i for i, inside in enumerate(truth) if inside}
    union = true | predicted
    return 1 - len(true & predicted) / len(union) if union else 0.0


def by_thresholds(truth, errors):
    """The Lovász extension: the set function at {i: error_i >= t}, integrated over t in 0..1."""
    levels = [0.0, *sorted(set(errors))]
    return sum(
        (high - low) * jaccard_loss(truth, {i for i, e in enumerate(errors) if e >= high})
        for low, high in itertools.pairwise(levels)
    )


def by_definition(p, target, ignore):
    """p: (K, P), target: (P,)."""
    keep = target != ignore
    p, target = p[:, keep], target[keep]
    classes = target.unique().tolist()
    parts = []
    for k in classes:
        truth = (target == k).tolist()
        errors = torch.where(target == k, 1 - p[k], p[k]).tolist()
        parts.append(by_thresholds(truth, errors))
    return sum(parts) / len(parts)


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_definition_set_by_set(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(2, 4, 3, 5, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 3, (2, 3, 5), generator=generator)  # class 3 is absent
    target[torch.rand(target.shape, generator=generator) < 0.2] = 255
    expected = by_definition(logits.softmax(1).movedim(1, 0).flatten(1), target.flatten(), 255)
    assert lovasz(ignore_index=255)(logits, target).item() == pytest.approx(expected, rel=1e-6)


def test_a_sure_prediction_costs_1_minus_iou():
    predicted, target = (
        torch.tensor([[[0, 0, 0, 1], [1, 1, 1, 1]]]),
        torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1]]]),
    )
    logits = 60.0 * torch.nn.functional.one_hot(predicted, 2).movedim(-1, 1)
    assert lovasz(ignore_index=255)(logits, target).item() == pytest.approx(1 - (3 / 4 + 4 / 5) / 2)


def test_three_pixels_by_hand():
    p = torch.tensor([0.7, 0.4, 0.2])  # of class 1
    logits = torch.stack([(1 - p).log(), p.log()])[None, :, None]
    # class 0: 1 - IoU goes 1/2, 2/3, 1
    first = 0.6 * (1 / 2) + 0.3 * (2 / 3 - 1 / 2) + 0.2 * (1 - 2 / 3)
    second = 0.6 * (1 / 2) + 0.3 * (1 - 1 / 2) + 0.2 * (1 - 1)  # class 1: it goes 1/2, 1, 1
    value = lovasz(ignore_index=255)(logits, torch.tensor([[[1, 1, 0]]]))
    assert value.item() == pytest.approx((first + second) / 2)


def test_ties_cost_the_same_in_any_order():
    logits, loss = torch.zeros(1, 2, 2, 3), lovasz(ignore_index=255)
    apart, mixed = torch.tensor([[[0, 0, 0], [1, 1, 1]]]), torch.tensor([[[0, 1, 0], [1, 0, 1]]])
    assert loss(logits, apart).item() == pytest.approx(loss(logits, mixed).item(), rel=1e-6)


def test_many_pixels_keep_the_digits_of_their_gradient_in_float32():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 2, 400, 400, generator=generator)
    target = (torch.rand(1, 400, 400, generator=generator) < 0.02).long()
    gradients = []
    for dtype in (torch.float32, torch.float64):
        x = logits.to(dtype, copy=True).requires_grad_()
        lovasz(ignore_index=255)(x, target).backward()
        gradients.append(x.grad.double())
    torch.testing.assert_close(gradients[0], gradients[1], rtol=2e-3, atol=0)
