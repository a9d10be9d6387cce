"""The contract that every network inherits: a new file in models/networks is tested by being there."""

import inspect

import numpy as np
import pytest
import safetensors.torch
import torch

from maskmill import components, losses, models
from maskmill.metrics import Labels
from maskmill.metrics.confusion import Confusion

SMALL = {"feature_scale": 16, "width": 8, "skip_channels": 4}  # of these, the options that a network has


def make(name, in_channels=1, num_classes=3):
    torch.manual_seed(0)
    known = inspect.signature(components.factory("maskmill.models.networks", name, "")).parameters
    options = {option: value for option, value in SMALL.items() if option in known}
    return models.create(name, in_channels=in_channels, num_classes=num_classes, **options)


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def logits(out):
    """A network with auxiliary heads gives a dict in train mode."""
    return out["logits"] if isinstance(out, dict) else out


def backward(out, target):
    heads = out.values() if isinstance(out, dict) else [out]
    sum(torch.nn.functional.cross_entropy(head, target) for head in heads).backward()


@pytest.fixture(params=models.names())
def name(request):
    return request.param


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (1, 1)], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_every_pixel_gets_a_logit_per_class_at_any_size(name, channels, size):
    model = make(name, in_channels=channels, num_classes=4).eval()
    with torch.no_grad():
        out = model(image(2, channels, *size))
    assert out.shape == (2, 4, *size)
    assert torch.isfinite(out).all()


def test_a_batch_of_one_can_be_trained_on(name):
    out = make(name).train()(image(1, 1, 64, 64))
    assert logits(out).shape == (1, 3, 64, 64)
    backward(out, torch.ones(1, 64, 64, dtype=torch.long))


def test_the_gradient_is_finite_and_reaches_every_parameter_in_three_steps(name):
    model = make(name).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, target = image(2, 1, 96, 96), torch.arange(96 * 96).reshape(1, 96, 96).repeat(2, 1, 1) // 7 % 3
    reached = set()
    for _ in range(3):
        optimizer.zero_grad()
        backward(model(x), target)
        for key, p in model.named_parameters():
            assert p.grad is not None, f"{key} is not used"
            assert torch.isfinite(p.grad).all(), f"{key} has a gradient that is no number"
            if p.grad.any():
                reached.add(key)
        optimizer.step()
    assert reached == {key for key, _ in model.named_parameters()}


def test_eval_is_deterministic_and_each_image_stands_alone(name):
    model, x = make(name).eval(), image(3, 1, 40, 40)
    with torch.no_grad():
        out = model(x)
        assert torch.equal(out, model(x))
        assert torch.allclose(out[1:2], model(x[1:2]), atol=1e-4)


def test_channels_last_gives_the_same(name):
    model, x = make(name).eval(), image(2, 1, 33, 47)
    with torch.no_grad():
        plain = model(x)
        model.to(memory_format=torch.channels_last)
        assert torch.allclose(model(x.contiguous(memory_format=torch.channels_last)), plain, atol=1e-4)


def test_saved_weights_give_bit_equal_logits(name):
    model, x = make(name), image(2, 1, 33, 47)
    model.train()(image(2, 1, 64, 64))  # so that the running statistics are not those of a fresh network
    torch.manual_seed(9)
    other = make(name)
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(model.state_dict())))
    with torch.no_grad():
        assert torch.equal(model.eval()(x), other.eval()(x))


def test_the_same_seed_makes_the_same_weights(name):
    one, other = make(name).state_dict(), make(name).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_no_convolution_that_a_norm_follows_has_a_bias(name):
    model, made = make(name).eval(), {}
    kept = []  # outputs are kept, so that no id is used twice

    def remember(module, args, out):
        made[id(out)] = module
        kept.append(out)

    def check(module, args):
        conv = made.get(id(args[0]))
        assert conv is None or conv.bias is None, conv

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(remember)
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(check)
    model(image(1, 1, 33, 33))
    assert kept


def test_an_exported_network_agrees(name):
    model, x = make(name).eval(), image(1, 1, 48, 64)
    with torch.no_grad():
        exported = torch.export.export(model, (x,)).module()
        assert torch.allclose(exported(x), model(x), atol=1e-4)


def test_parameters_counts_what_is_trained(name):
    model = make(name)
    assert models.parameters(model) == sum(np.prod(tuple(p.shape)) for p in model.parameters() if p.requires_grad)


def test_four_small_images_are_learned_by_heart(name, draw_shapes):
    pairs = draw_shapes(4, size=40)
    x = torch.stack([torch.from_numpy(i[..., 0]) for i, _ in pairs])[:, None].float() / 128 - 1
    y = torch.from_numpy(np.stack([m for _, m in pairs])).long()
    model = make(name, num_classes=4).train()
    loss = losses.create({"cross_entropy": 1.0, "dice": 1.0}, 255)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=160)
    for _ in range(160):
        optimizer.zero_grad()
        loss(logits(model(x)), y).backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        scores = Confusion(Labels(("a", "b", "c", "d"), (1, 2, 3), 255)).over([(model.eval()(x).argmax(1), y)])
    assert min(scores[f"dice/{name}"] for name in "abcd") > 0.98
