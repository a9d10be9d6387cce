"""What every loss promises; a new file in `losses` is tested by being there."""

import pytest
import torch
from torch import nn

from maskmill import losses
from maskmill.system import components
from maskmill.system.errors import MaskmillError

IGNORE = 255
NAMES = components.names("maskmill.losses")
OPTIONS = {
    "tversky": {"gamma": 4 / 3},
    "focal": {"gamma": 0.5},
    "cldice": {"classes": ["c"], "iterations": 1},
}
WEIGHTS = (0.5, 1.0, 3.0)
CASES = {
    **{name: ({name: 1.0}, None) for name in NAMES},
    **{
        f"{name} {options}": ({name: {"weight": 1.0, **options}}, None)
        for name, options in OPTIONS.items()
    },
    **{f"{name} weighted": ({name: 1.0}, WEIGHTS) for name in ("cross_entropy", "focal")},
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def loss(request):
    settings, weights = request.param
    return losses.create(settings, IGNORE, foreground={"b": 1, "c": 2}, class_weights=weights)


@pytest.fixture(params=NAMES)
def plain(request):
    """Over all classes, none left out as background, so that any number of them will do."""
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
    assert loss(logits, ignored).item() == pytest.approx(
        loss(logits[:, :, :3], target[:, :3]).item(), abs=1e-6
    )


def test_a_batch_of_ignored_pixels_gives_0_and_a_zero_gradient(loss, batch):
    logits, target = batch
    value, gradient = value_and_gradient(loss, logits, torch.full_like(target, IGNORE))
    assert value.item() == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_a_batch_of_ignored_pixels_gives_0_also_where_a_logit_is_extreme(plain):
    logits = torch.full((1, 2, 3, 3), 50.0, requires_grad=True)
    value, gradient = value_and_gradient(plain, logits, torch.full((1, 3, 3), IGNORE))
    assert value.item() == 0
    assert not gradient.any()


def test_an_image_of_ignored_pixels_has_a_zero_gradient_and_leaves_the_others_as_they_are(
    loss, batch
):
    logits, target = batch
    alone, gradient_alone = value_and_gradient(
        loss, logits[:1].detach().requires_grad_(), target[:1]
    )
    target[1] = IGNORE
    value, gradient = value_and_gradient(loss, logits, target)
    assert value.item() == pytest.approx(alone.item(), rel=1e-6)
    torch.testing.assert_close(gradient[:1], gradient_alone)
    assert not gradient[1].any()


def test_an_ignore_index_below_the_number_of_classes_is_ignored_too(batch):
    logits, target = batch
    target[target == 2] = 1
    hole = target.clone()
    hole[0, 1:3] = 2
    for name in NAMES:
        below = losses.create({name: 1.0}, 2, foreground={"b": 1})(logits, hole)
        above = losses.create({name: 1.0}, IGNORE, foreground={"b": 1})(
            logits, hole.where(hole != 2, IGNORE)
        )
        assert torch.equal(below, above), name


def test_the_order_of_images_changes_nothing(loss, batch):
    logits, target = batch
    target[0, 1] = IGNORE
    assert loss(logits.flip(0), target.flip(0)).item() == pytest.approx(
        loss(logits, target).item(), rel=1e-6
    )


@pytest.mark.parametrize(
    ("classes", "height", "width"), [(2, 1, 1), (3, 1, 9), (5, 11, 2), (250, 7, 5)]
)
def test_any_number_of_classes_and_any_size(plain, classes, height, width):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, height, width, generator=generator, requires_grad=True)
    target = torch.randint(0, classes, (2, height, width), generator=generator)
    target[0, 0, 0] = IGNORE
    value, gradient = value_and_gradient(plain, logits, target)
    assert value.item() >= 0
    assert torch.isfinite(gradient).all()


def test_one_class_everywhere_is_a_number(plain):
    logits = torch.randn(1, 4, 5, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    value, gradient = value_and_gradient(plain, logits, torch.full((1, 5, 5), 2))
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()


def test_the_gradient_is_that_of_the_value(loss):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, 3, (2, 4, 3), generator=generator)
    target[1, 2] = IGNORE
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)


def test_half_precision_logits_are_summed_in_full(loss):
    logits = torch.zeros(1, 2, 300, 300, dtype=torch.bfloat16)
    target = torch.arange(300 * 300).reshape(1, 300, 300) % 2
    assert loss(logits, target).item() == pytest.approx(
        loss(logits.float(), target).item(), abs=1e-6
    )


@pytest.mark.parametrize("extreme", [50.0, 1e4])
def test_extreme_logits_give_a_number(loss, batch, extreme):
    logits, target = batch
    for x in (
        extreme * logits.detach().sign(),
        extreme * nn.functional.one_hot(target, 3).movedim(-1, 1).float(),
    ):
        value, gradient = value_and_gradient(loss, x.requires_grad_(), target)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_loss_of_half_precision_logits_is_a_float32(loss, batch, dtype):
    logits, target = batch
    half = logits.detach().to(dtype)
    value = loss(half, target)
    assert value.dtype == torch.float32
    assert torch.equal(value, loss(half.float(), target))


def test_a_small_network_learns_a_picture_by_it_alone(plain, draw_shapes):
    torch.manual_seed(0)
    image, mask = draw_shapes(1, size=24, seed=3)[0]
    x, target = torch.tensor(image).movedim(-1, 0)[None] / 255, torch.tensor(mask)[None].long()
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 3, padding=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    values = []
    for _ in range(100):
        value = plain(model(x), target)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()
        values.append(value.item())
    assert values[-1] < 0.4 * values[0]


def test_the_sum_is_weighted(batch):
    parts = [
        losses.create({name: 1.0}, IGNORE)(*batch).item() for name in ("cross_entropy", "dice")
    ]
    total = losses.create({"cross_entropy": 0.5, "dice": 2.0}, IGNORE)(*batch).item()
    assert total == pytest.approx(0.5 * parts[0] + 2 * parts[1], rel=1e-6)


def test_a_weight_may_stand_beside_options(batch):
    short = losses.create({"focal": 2.0}, IGNORE)(*batch)
    assert torch.equal(
        short, losses.create({"focal": {"weight": 2.0, "gamma": 2.0}}, IGNORE)(*batch)
    )
    assert not torch.equal(
        short, losses.create({"focal": {"weight": 2.0, "gamma": 1.0}}, IGNORE)(*batch)
    )


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("focal", {"gama": 1.0}, "focal.gama is not an option; did you mean 'gamma'?"),
        ("focal", {"gamma": -1.0}, "focal.gamma: got -1.0; 0 (cross-entropy) or more is needed"),
        ("focal", {"gamma": "much"}, "focal.gamma: got 'much'"),
        (
            "dice",
            {"ignore_index": 3},
            "dice.ignore_index follows from the data and cannot be set; delete it",
        ),
        ("tversky", {"alpha": 0.0}, "tversky.alpha: got 0.0; more than 0 is needed"),
        ("tversky", {"beta": -1.0}, "tversky.beta: got -1.0; more than 0 is needed"),
        ("tversky", {"gamma": 0.5}, "tversky.gamma: got 0.5; 1 (plain Tversky) or more is needed"),
        ("cldice", {"iterations": 0}, "cldice.iterations: got 0; 1 or more is needed"),
        (
            "cldice",
            {"classes": ["vesel"]},
            "cldice.classes: 'vesel' is no foreground class; did you mean 'vessel'?",
        ),
        (
            "cldice",
            {"classes": []},
            "cldice.classes: [] names no class; delete it to take them all",
        ),
    ],
)
def test_a_wrong_option_is_named_with_what_is_allowed(name, options, said):
    with pytest.raises(MaskmillError) as raised:
        losses.create(
            {name: {"weight": 1.0, **options}}, IGNORE, foreground={"disc": 1, "vessel": 2}
        )
    assert str(raised.value).startswith(f"params.yaml: train.losses.{said}")


def test_class_weights_that_no_loss_uses_are_refused():
    with pytest.raises(MaskmillError) as raised:
        losses.create({"dice": 1.0, "lovasz": 1.0}, IGNORE, class_weights=WEIGHTS)
    assert (
        str(raised.value)
        == "params.yaml: train.class_weights has no effect: of train.losses, dice, lovasz, none is"
        " a mean over pixels, which it weights; add one of cross_entropy, focal, or set"
        " train.class_weights: null"
    )


def test_class_weights_reach_the_losses_that_use_them_in_a_sum(batch):
    parts = [
        losses.create({"cross_entropy": 1.0}, IGNORE, class_weights=WEIGHTS)(*batch),
        losses.create({"dice": 1.0}, IGNORE)(*batch),
    ]
    both = losses.create({"cross_entropy": 1.0, "dice": 1.0}, IGNORE, class_weights=WEIGHTS)(*batch)
    assert both.item() == pytest.approx(sum(parts).item(), rel=1e-6)


def test_an_unknown_loss_is_named_with_the_nearest_and_all_known():
    with pytest.raises(MaskmillError) as raised:
        losses.create({"dicee": 1.0}, IGNORE)
    text = str(raised.value)
    assert text.startswith("params.yaml: train.losses: 'dicee' is not known; did you mean 'dice'?")
    assert "cross_entropy" in text
