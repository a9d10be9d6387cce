"""What every loss promises; a new file in `losses` is tested by being there."""

import pytest
import torch

from maskmill import components, losses
from maskmill.errors import MaskmillError

IGNORE = 255


@pytest.fixture(params=components.names("maskmill.losses"))
def loss(request):
    return losses.create({request.param: 1.0}, IGNORE)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 4, generator=generator, requires_grad=True)
    return logits, torch.randint(0, 3, (2, 5, 4), generator=generator)


def value_and_gradient(loss, logits, target):
    out = loss(logits, target)
    (gradient,) = torch.autograd.grad(out, logits)
    return out.detach(), gradient


def test_a_sure_and_right_prediction_costs_nothing_and_a_wrong_one_more(loss, batch):
    _, target = batch
    right = 50.0 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1)
    assert loss(right, target).item() == pytest.approx(0, abs=1e-6)
    assert loss(right, (target + 1) % 3).item() > 0.5


def test_ignored_pixels_change_neither_value_nor_gradient(loss, batch):
    logits, target = batch
    target[0, 1:3] = IGNORE
    other = logits.detach().clone()
    other[0, :, 1:3] = torch.tensor([90.0, -5.0, 3.0])[:, None, None]
    value, gradient = value_and_gradient(loss, logits, target)
    value_other, gradient_other = value_and_gradient(loss, other.requires_grad_(), target)
    assert torch.equal(value, value_other)
    assert torch.equal(gradient, gradient_other)
    assert not gradient[0, :, 1:3].any()
    assert gradient[1].any()


def test_ignoring_pixels_equals_cutting_them_out(loss, batch):
    logits, target = batch
    ignored = target.clone()
    ignored[:, 3:] = IGNORE
    assert loss(logits, ignored).item() == pytest.approx(loss(logits[:, :, :3], target[:, :3]).item(), abs=1e-6)


def test_a_batch_of_ignored_pixels_gives_0_and_a_zero_gradient(loss, batch):
    logits, target = batch
    value, gradient = value_and_gradient(loss, logits, torch.full_like(target, IGNORE))
    assert value.item() == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_half_precision_logits_are_summed_in_full(loss):
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.bfloat16)
    target = torch.arange(300 * 300).reshape(1, 300, 300) % 2
    assert loss(logits, target).item() == pytest.approx(loss(logits.float(), target).item(), abs=1e-6)


def test_extreme_logits_give_a_number(loss, batch):
    logits, target = batch
    value, gradient = value_and_gradient(loss, (1e4 * logits.detach()).requires_grad_(), target)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


def test_the_sum_is_weighted(batch):
    parts = [losses.create({name: 1.0}, IGNORE)(*batch).item() for name in ("cross_entropy", "dice")]
    total = losses.create({"cross_entropy": 0.5, "dice": 2.0}, IGNORE)(*batch).item()
    assert total == pytest.approx(0.5 * parts[0] + 2 * parts[1], rel=1e-6)


def test_an_unknown_loss_is_named_with_the_nearest_and_all_known():
    with pytest.raises(MaskmillError) as raised:
        losses.create({"dicee": 1.0}, IGNORE)
    text = str(raised.value)
    assert text.startswith("params.yaml: train.losses: 'dicee' is not known; did you mean 'dice'?")
    assert "cross_entropy" in text
