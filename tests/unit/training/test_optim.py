import itertools
import math

import pytest
import torch

from maskmill import losses, models
from maskmill.system.errors import MaskmillError
from maskmill.training import optim
from maskmill.training.loading import Loading
from tests.unit.training.lab import equal


@pytest.fixture
def train(params):
    values = {
        "schedule": "cosine",
        "learning_rate": 0.1,
        "warmup_steps": 4,
        "steps": 24,
        "weight_decay": 0.5,
    }
    return params.train.model_copy(update=values)


def test_the_rate_rises_in_a_line_then_falls_by_half_a_cosine(train):
    rates = [optim.learning_rate(step, train) for step in range(25)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[4] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(0.1 * (1 + math.sqrt(0.5)) / 2)
    assert rates[14] == pytest.approx(0.05)
    assert rates[24] == pytest.approx(0, abs=1e-12)
    assert all(a > b for a, b in itertools.pairwise(rates[4:]))


def test_without_warm_up_the_first_step_has_the_full_rate(train):
    assert optim.learning_rate(0, train.model_copy(update={"warmup_steps": 0})) == pytest.approx(
        0.1
    )


def test_norms_and_biases_are_not_decayed(train):
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16)
    optimizer = optim.create_optimizer(model, train)
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    assert {decay[id(p)] for name, p in model.named_parameters() if name.endswith("bias")} == {0.0}
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert decay[id(module.weight)] == 0
        elif isinstance(module, torch.nn.Conv2d):
            assert decay[id(module.weight)] == 0.5
    assert len(decay) == len(list(model.parameters()))


def rates(train, **changes):
    train = train.model_copy(update=changes)
    return [optim.learning_rate(step, train) for step in range(train.steps + 1)]


def test_poly_falls_by_its_power_after_the_warm_up(train):
    found = rates(train, schedule="poly", poly_power=0.9)
    assert found[:5] == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1])
    assert found[14] == pytest.approx(0.1 * 0.5**0.9)
    assert found[24] == 0


def test_constant_stays_after_the_warm_up(train):
    assert rates(train, schedule="constant")[3:] == pytest.approx([0.1] * 22)


@pytest.mark.parametrize("steps", [1, 2, 3, 20, 101])
def test_one_cycle_is_that_of_pytorch(train, steps):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    expected = []
    if steps > 3:  # of fewer, PyTorch divides by zero
        reference = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, 0.1, total_steps=steps, cycle_momentum=False
        )
        for _ in range(steps):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if len(expected) < steps:
                reference.step()
        assert rates(train, schedule="one_cycle", warmup_steps=0, steps=steps)[
            :-1
        ] == pytest.approx(expected)
    assert all(
        0 < rate <= 0.1
        for rate in rates(train, schedule="one_cycle", warmup_steps=0, steps=steps)[:-1]
    )


def test_sgd_has_its_options_and_is_one_kernel(train):
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16)
    changes = {"optimizer": "sgd", "momentum": 0.8, "nesterov": True}
    made = optim.create_optimizer(model, train.model_copy(update=changes))
    assert isinstance(made, torch.optim.SGD)
    assert (made.defaults["momentum"], made.defaults["nesterov"], made.defaults["fused"]) == (
        0.8,
        True,
        True,
    )


def test_the_encoder_has_a_rate_of_its_own_and_every_weight_is_there_once(train):
    model = models.create("resnet18_unet", in_channels=1, num_classes=2, width=8)
    made = optim.create_optimizer(model, train.model_copy(update={"encoder_lr_scale": 0.1}))
    scale = {id(p): group["lr_scale"] for group in made.param_groups for p in group["params"]}
    inside = {id(p) for p in model.encoder.parameters()}
    assert {scale[i] for i in inside} == {0.1}
    assert {value for i, value in scale.items() if i not in inside} == {1.0}
    assert (
        sum(len(group["params"]) for group in made.param_groups)
        == len(list(model.parameters()))
        == len(scale)
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"freeze_encoder_steps": 5},
         "params.yaml: train.freeze_encoder_steps: got 5, and a network of `variants` has "
         "no encoder (UNet); set it to 0, or train variants of network: resnet_unet"),
        ({"encoder_lr_scale": 0.1},
         "params.yaml: train.encoder_lr_scale: got 0.1, and a network of `variants` has no "
         "encoder (UNet); set it to 1.0, or train variants of network: resnet_unet"),
    ],
)  # fmt: skip
def test_a_setting_for_an_encoder_that_is_not_there_is_an_error(train, changes, text):
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16)
    with pytest.raises(MaskmillError) as raised:
        optim.create_optimizer(model, train.model_copy(update=changes))
    assert str(raised.value) == text


def test_a_frozen_encoder_stays_as_it_is_and_then_learns(lab):
    training = lab.training(variant="resnet18_unet", freeze_encoder_steps=2, steps=4, batch_size=4)
    encoder = training.plain.encoder

    def state():
        return {name: value.clone() for name, value in encoder.state_dict().items()}

    states = [state()]
    for images, masks in Loading(lab.shard, lab.recipe, training.train)(0):
        training._optimize(images, masks)
        training.step += 1
        states.append(state())
    assert equal(states[0], states[1])
    assert equal(states[1], states[2])
    assert not equal(states[2], states[3])


def accumulated(lab, **changes):
    """Weights and loss after a step of 4 images by a mean over pixels, without batch norm."""
    training = lab.training(loss=losses.create({"cross_entropy": 1.0}, 255), optimizer="sgd",
                            momentum=0.0, nesterov=False, warmup_steps=0, **changes)  # fmt: skip
    for module in training.plain.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.forward = lambda x: x
    images, masks = next(Loading(lab.shard, lab.recipe, training.train)(0))
    training._optimize(images, masks)
    return torch.cat([p.detach().flatten() for p in training.plain.parameters()]), float(
        training.losses[0]
    )


def test_accumulated_pieces_make_the_step_of_one_large_batch(lab):
    whole, loss = accumulated(lab, batch_size=4)
    pieces, piecewise = accumulated(lab, batch_size=1, accumulate=4)
    assert piecewise == pytest.approx(loss, rel=1e-6)
    assert torch.allclose(pieces, whole, atol=1e-6)
    less, _ = accumulated(lab, batch_size=1, accumulate=3)
    assert not torch.allclose(less, whole, atol=1e-6)
