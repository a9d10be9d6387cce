import pytest
import torch
from torch import nn

from maskmill.models import encoders
from maskmill.models.classifiers import classifier
from maskmill.models.encoders import resnet18, resnet50
from maskmill.models.residual import BasicBlock, BottleneckBlock
from maskmill.models.resnet import LAYOUTS
from maskmill.models.squeeze_excite import SqueezeExcite

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
PUBLISHED = {  # torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
}
COUNTS = {
    "18": (2, 2, 2, 2),
    "34": (3, 4, 6, 3),
    "50": (3, 4, 6, 3),
    "101": (3, 4, 23, 3),
    "152": (3, 8, 36, 3),
}


def torchvision_names(convolutions, counts):
    """The keys of torchvision's ResNets, without the classifier `fc`."""
    names = {"conv1.weight", *(f"bn1.{x}" for x in NORM)}
    for stage, count in enumerate(counts, start=1):
        for block in range(count):
            for i in range(1, convolutions + 1):
                names |= {
                    f"layer{stage}.{block}.conv{i}.weight",
                    *(f"layer{stage}.{block}.bn{i}.{x}" for x in NORM),
                }
        if stage > 1 or convolutions == 3:
            names |= {
                f"layer{stage}.0.downsample.0.weight",
                *(f"layer{stage}.0.downsample.1.{x}" for x in NORM),
            }
    return names


def on_meta(make, **options):
    with torch.device("meta"):
        return make(in_channels=3, **options)


def shapes(module):
    return {key: tuple(value.shape) for key, value in module.state_dict().items()}


def test_every_layout_has_its_function_and_its_published_count():
    assert (
        set(PUBLISHED)
        == set(LAYOUTS)
        == {n for n in vars(encoders) if n.startswith(("resne", "wide"))}
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_classifier_has_as_many_parameters_as_published(name):
    with torch.device("meta"):
        assert sum(p.numel() for p in classifier(name).parameters()) == PUBLISHED[name]


@pytest.mark.parametrize(
    ("name", "published"),
    [("resnet18", 11_778_592), ("resnet34", 21_958_868), ("resnet50", 28_088_024)],
)
def test_with_squeeze_and_excitation_it_has_as_many_as_se_resnet(name, published):
    """The numbers are those of timm's seresnet18, seresnet34 and seresnet50."""
    with torch.device("meta"):
        assert (
            sum(p.numel() for p in classifier(name, gate=SqueezeExcite).parameters()) == published
        )


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_keys_are_torchvisions_so_that_its_weights_load(name):
    depth = name.removeprefix("wide_").lstrip("resnxt").split("_")[0]
    expected = torchvision_names(2 if depth in ("18", "34") else 3, COUNTS[depth])
    encoder = on_meta(getattr(encoders, name))
    assert set(encoder.state_dict()) == expected
    with torch.device("meta"):
        assert set(classifier(name).state_dict()) == expected | {"fc.weight", "fc.bias"}


def test_the_shapes_of_resnet18_are_the_papers():
    found = shapes(on_meta(resnet18))
    assert found["conv1.weight"] == (64, 3, 7, 7)
    assert found["layer1.0.conv1.weight"] == (64, 64, 3, 3)
    assert found["layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert found["layer4.1.conv2.weight"] == (512, 512, 3, 3)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("resnet50", (64, 64, 3, 3), (512, 512, 3, 3)),
        ("resnext50_32x4d", (128, 4, 3, 3), (1024, 32, 3, 3)),
        ("resnext101_32x8d", (256, 8, 3, 3), (2048, 64, 3, 3)),
        ("wide_resnet50_2", (128, 128, 3, 3), (1024, 1024, 3, 3)),
    ],
)
def test_the_middle_convolutions_are_the_papers(name, first, last):
    found = shapes(on_meta(getattr(encoders, name)))
    assert found["layer1.0.conv2.weight"] == first
    assert found["layer4.2.conv2.weight"] == last
    assert found["layer4.2.conv3.weight"][0] == 2048


@pytest.mark.parametrize("make", [resnet18, resnet50], ids=["basic", "bottleneck"])
@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1)], ids=str)
def test_five_maps_at_strides_2_to_32_with_sizes_rounded_up(make, size):
    encoder = make(in_channels=2, width=8).eval()
    maps = encoder(torch.randn(1, 2, *size))
    assert encoder.strides == (2, 4, 8, 16, 32)
    assert encoder.channels == ((8, 8, 16, 32, 64) if make is resnet18 else (8, 32, 64, 128, 256))
    for x, channels, stride in zip(maps, encoder.channels, encoder.strides, strict=True):
        assert x.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("make", [resnet18, resnet50], ids=["basic", "bottleneck"])
@pytest.mark.parametrize(("stride", "strides"), [(16, (2, 4, 8, 16, 16)), (8, (2, 4, 8, 8, 8))])
def test_a_dilated_encoder_gives_the_same_values_on_a_denser_grid(make, stride, strides):
    torch.manual_seed(0)
    plain, dilated = (
        make(in_channels=1, width=8).eval(),
        make(in_channels=1, width=8, output_stride=stride).eval(),
    )
    dilated.load_state_dict(plain.state_dict())
    x = torch.randn(1, 1, 128, 160)
    assert dilated.strides == strides
    with torch.no_grad():
        for coarse, dense, before, after in zip(
            plain(x), dilated(x), plain.strides, strides, strict=True
        ):
            assert dense.shape[-2:] == (128 // after, 160 // after)
            every = before // after
            assert torch.allclose(dense[..., ::every, ::every], coarse, atol=1e-5)


def test_the_deep_stem_has_three_convolutions_and_the_same_map():
    encoder = resnet18(in_channels=3, width=16, stem_width=6).eval()
    found = [m for m in encoder.conv1 if isinstance(m, nn.Conv2d)]
    assert [tuple(m.weight.shape) for m in found] == [(6, 3, 3, 3), (6, 6, 3, 3), (16, 6, 3, 3)]
    assert encoder(torch.randn(1, 3, 33, 47))[0].shape == (1, 16, 17, 24)


def test_groups_keep_at_least_one_channel_when_narrow():
    encoder = encoders.resnext50_32x4d(in_channels=1, width=8)
    assert [encoder.get_submodule(f"layer{i}")[0].conv2.weight.shape[:2] for i in (1, 4)] == [
        (32, 1),
        (128, 4),
    ]


@pytest.mark.parametrize(
    "block", [BasicBlock(4, 4), BottleneckBlock(16, 4)], ids=["basic", "bottleneck"]
)
def test_a_block_whose_convolutions_are_silent_passes_its_input_on(block):
    last = [m for m in block.eval().modules() if isinstance(m, nn.Conv2d)][-1]
    nn.init.zeros_(last.weight)
    x = torch.rand(1, 4 * block.expansion, 5, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("kind", "width"), [(BasicBlock, 4), (BottleneckBlock, 16)])
def test_the_gate_stands_before_the_addition(kind, width):
    class Shut(nn.Module):
        def forward(self, x):
            return x * 0

    block = kind(width, 4, gate=lambda channels: Shut()).eval()
    x = torch.rand(1, width, 5, 5)
    assert torch.equal(block(x), x)


def test_the_stride_is_carried_by_the_3x3_convolution_as_in_the_public_weights():
    block = BottleneckBlock(16, 4, stride=2)
    assert [block.conv1.stride, block.conv2.stride, block.downsample[0].stride] == [
        (1, 1),
        (2, 2),
        (2, 2),
    ]


@pytest.mark.parametrize(("make", "expansion"), [(resnet18, 1), (resnet50, 4)])
def test_every_block_has_its_gate_of_its_own_width(make, expansion):
    asked = []
    make(in_channels=1, width=8, gate=lambda channels: asked.append(channels) or nn.Identity())
    blocks = (2, 2, 2, 2) if make is resnet18 else (3, 4, 6, 3)
    widths = [w * expansion for w, n in zip((8, 16, 32, 64), blocks, strict=True) for _ in range(n)]
    assert asked == widths


def test_the_classifier_averages_the_last_map():
    torch.manual_seed(0)
    model = classifier("resnet18", in_channels=1, num_classes=5, width=8).eval()
    encoder = resnet18(in_channels=1, width=8).eval()
    encoder.load_state_dict(
        {k: v for k, v in model.state_dict().items() if not k.startswith("fc.")}
    )
    x = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(x), model.fc(encoder(x)[-1].mean((2, 3))), atol=1e-6)
