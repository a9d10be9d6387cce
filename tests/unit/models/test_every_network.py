"""The contract that every network inherits: a new file in models/networks is tested by being there.

Learning by heart takes seconds each, an export tens of them: all networks do so with `-m slow`.
    Without it unet,
resnet18_unet and whatever is new learn by heart, and one network is exported in
tests/unit/inference.
"""

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch

from maskmill import losses, models
from maskmill.metrics import Labels
from maskmill.metrics.confusion import Confusion
from maskmill.models.residual import BottleneckBlock, Residual

# of these, the options that a network has
SMALL = {"feature_scale": 8, "width": 8, "skip_channels": 4, "finest": 2}
ALL_PARTS = {  # networks that hold every block between them
    "unet": {
        "gate": "scse",
        "skip_gate": "attention",
        "bottleneck": "dual_attention",
        "upsampling": "transposed",
    },
    "self_attention_unet": {"similarity": "additive", "heads": 2, "skip_gate": "se"},
    "resnext50_unet": {
        "gate": "se",
        "stem_width": 4,
        "output_stride": 8,
        "bottleneck": "channel_attention",
    },
    "resnet18_unet": {"skip_channels": 0, "skip_gate": "se", "upsampling": "transposed"},
}
WIDE = ("attention", "fcn", "scse", "se", "self_attention", "unet_pp", "se_resnet18", "resnext50")
DEEP = (
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "se_resnet34",
    "se_resnet50",
    "wide_resnet50",
)
SLOW = pytest.mark.slow


def make(name, in_channels=1, num_classes=3, **options):
    torch.manual_seed(0)
    known = models.network_options(name)
    options = {option: value for option, value in SMALL.items() if option in known} | options
    return models.create(name, in_channels=in_channels, num_classes=num_classes, **options)


CASES = [*((name, {}) for name in models.names()), *ALL_PARTS.items()]


def described(value):
    """A test's id: the variant, and whether it has parts besides."""
    return value if isinstance(value, str) else "parts" if value else "plain"


def image(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def settled(model, in_channels=1):
    """The network in evaluation mode, with the statistics of one batch.

    No residual scale is at its initial 0. A fresh deep network normalises nothing in evaluation
    mode, and multiplies what fp32 rounds away by every block: residual branches are a fifth of
    their size, which keeps the rounding below what is tested.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
        if isinstance(module, Residual):
            last = module.bn3 if isinstance(module, BottleneckBlock) else module.bn2
            torch.nn.init.constant_(last.weight, 0.2)
    with torch.no_grad():
        model.train()(image(4, in_channels, 96, 96))
        for key, p in model.named_parameters():
            if key.endswith("scales"):
                p.fill_(1.0)
    return model.eval()


def close(one, other):
    """Equal to 1e-4 of the largest logit."""
    return (one - other).abs().max() <= 1e-4 * other.abs().max().clamp(min=1)


def logits(out):
    """A network with auxiliary heads gives a dict in train mode."""
    return out["logits"] if isinstance(out, dict) else out


def backward(out, target):
    heads = out.values() if isinstance(out, dict) else [out]
    sum(torch.nn.functional.cross_entropy(head, target) for head in heads).backward()


@pytest.fixture(params=models.names())
def name(request):
    return request.param


@pytest.mark.parametrize(
    ("channels", "size"), [(1, (33, 47)), (3, (64, 64)), (5, (35, 34)), (1, (1, 1))], ids=str
)
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


def test_in_train_mode_there_is_a_tensor_or_the_heads_that_are_named(name):
    model = make(name)
    out = model.train()(image(2, 1, 64, 64))
    assert isinstance(model.eval()(image(1, 1, 64, 64)), torch.Tensor)
    if isinstance(out, dict):
        assert list(out) == ["logits", *model.aux_heads]
        assert {head.shape for head in out.values()} == {(2, 3, 64, 64)}


@pytest.mark.parametrize(("name", "options"), CASES, ids=described)
def test_the_gradient_is_finite_and_reaches_every_parameter_in_three_steps(name, options):
    model = make(name, **options).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    x, target = (
        image(2, 1, 96, 96),
        torch.arange(96 * 96).reshape(1, 96, 96).repeat(2, 1, 1) // 7 % 3,
    )
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


@pytest.mark.parametrize(("name", "options"), CASES, ids=described)
def test_a_step_in_bf16_has_finite_gradients(name, options):
    model, x = make(name, **options).train(), image(2, 1, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x)
    heads = out if isinstance(out, dict) else {"logits": out}
    backward(
        {key: head.float() for key, head in heads.items()}, torch.ones(2, 64, 64, dtype=torch.long)
    )
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_eval_is_deterministic_and_each_image_stands_alone(name):
    model, x = settled(make(name)), image(3, 1, 40, 40)
    with torch.no_grad():
        out = model(x)
        assert torch.equal(out, model(x))
        assert close(out[1:2], model(x[1:2]))


def test_channels_last_gives_the_same(name):
    model, x = settled(make(name)), image(2, 1, 33, 47)
    with torch.no_grad():
        plain = model(x)
        model.to(memory_format=torch.channels_last)
        assert close(model(x.contiguous(memory_format=torch.channels_last)), plain)


def test_saved_weights_give_bit_equal_logits(name):
    model, x = settled(make(name)), image(2, 1, 33, 47)
    torch.manual_seed(9)
    other = make(name)
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(model.state_dict())))
    with torch.no_grad():
        assert torch.equal(model(x), other.eval()(x))


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


def test_parameters_counts_what_is_trained(name):
    model = make(name)
    assert models.count_parameters(model) == sum(
        np.prod(tuple(p.shape)) for p in model.parameters() if p.requires_grad
    )


@SLOW
@pytest.mark.parametrize(("name", "options"), CASES, ids=described)
def test_exported_to_torch_and_onnx_it_agrees_at_other_sizes(name, options):
    model, x = settled(make(name, **options)), image(2, 1, 48, 64)
    dynamic = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        exported = torch.export.export(
            model, (x,), dynamic_shapes=({0: dynamic, 2: dynamic, 3: dynamic},)
        )
        onnx = torch.onnx.export(
            exported, (), dynamo=True, verbose=False
        ).model_proto.SerializeToString()
        session = onnxruntime.InferenceSession(onnx)
        for size in [(2, 1, 48, 64), (1, 1, 33, 47), (3, 1, 80, 65)]:
            x = image(*size)
            expected = model(x)
            assert close(exported.module()(x), expected)
            ran = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
            assert close(torch.from_numpy(ran), expected)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=SLOW) if n.removesuffix("_unet") in WIDE + DEEP else n
        for n in models.names()
    ],
)
def test_four_small_images_are_learned_by_heart(name, draw_shapes):
    pairs = draw_shapes(4, size=40)
    x = torch.stack([torch.from_numpy(i[..., 0]) for i, _ in pairs])[:, None].float() / 128 - 1
    y = torch.from_numpy(np.stack([m for _, m in pairs])).long()
    model = make(name, num_classes=4).train()
    loss = losses.create({"cross_entropy": 1.0, "dice": 1.0}, 255)
    # deep and narrow begins slowly
    steps, rate = (300, 3e-2) if name.removesuffix("_unet") in DEEP else (120, 2e-2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(logits(model(x)), y).backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        scores = Confusion(Labels(("a", "b", "c", "d"), (1, 2, 3), 255)).over(
            [(model.eval()(x).argmax(1), y)]
        )
    assert min(scores[f"dice/{name}"] for name in "abcd") > 0.98
