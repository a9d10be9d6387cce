import pytest
import torch
from torch import nn

from maskmill.models.encoders import BasicBlock, resnet18

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def torchvision_names():
    """The keys of torchvision's resnet18, without the classifier `fc`."""
    names = {"conv1.weight", *(f"bn1.{x}" for x in NORM)}
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            for i in (1, 2):
                names |= {f"layer{stage}.{block}.conv{i}.weight", *(f"layer{stage}.{block}.bn{i}.{x}" for x in NORM)}
        if stage > 1:
            names |= {f"layer{stage}.0.downsample.0.weight", *(f"layer{stage}.0.downsample.1.{x}" for x in NORM)}
    return names


@pytest.fixture(scope="module")
def encoder():
    with torch.device("meta"):
        return resnet18(in_channels=3)


def test_the_keys_are_torchvisions_so_that_its_weights_load(encoder):
    assert set(encoder.state_dict()) == torchvision_names()


def test_the_shapes_are_the_papers(encoder):
    shapes = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    assert shapes["conv1.weight"] == (64, 3, 7, 7)
    assert shapes["layer1.0.conv1.weight"] == (64, 64, 3, 3)
    assert shapes["layer2.0.downsample.0.weight"] == (128, 64, 1, 1)
    assert shapes["layer4.1.conv2.weight"] == (512, 512, 3, 3)
    classifier = 512 * 1000 + 1000
    assert sum(p.numel() for p in encoder.parameters()) == 11_689_512 - classifier  # torchvision's documented count


@pytest.mark.parametrize("size", [(64, 96), (33, 47), (1, 1)], ids=str)
def test_five_maps_at_strides_2_to_32_with_sizes_rounded_up(size):
    encoder = resnet18(in_channels=2, width=8).eval()
    maps = encoder(torch.randn(1, 2, *size))
    assert encoder.strides == (2, 4, 8, 16, 32)
    assert encoder.channels == (8, 8, 16, 32, 64)
    for x, channels, stride in zip(maps, encoder.channels, encoder.strides, strict=True):
        assert x.shape == (1, channels, -(-size[0] // stride), -(-size[1] // stride))


def test_a_block_whose_convolutions_are_silent_passes_its_input_on():
    block = BasicBlock(4, 4).eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(block(x), x)


def test_the_gate_stands_before_the_addition():
    class Shut(nn.Module):
        def forward(self, x):
            return x * 0

    block = BasicBlock(4, 4, gate=lambda channels: Shut()).eval()
    x = torch.rand(1, 4, 5, 5)
    assert torch.equal(block(x), x)


def test_every_block_has_its_gate_of_its_own_width():
    asked = []
    resnet18(in_channels=1, width=8, gate=lambda channels: asked.append(channels) or nn.Identity())
    assert asked == [8, 8, 16, 16, 32, 32, 64, 64]
