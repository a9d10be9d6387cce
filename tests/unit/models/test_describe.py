"""Every network, every kind of layer: the formula gives the sizes of the forward pass."""

import re

import pytest
import torch
from torch import nn

from maskmill import models
from maskmill.models import describe
from maskmill.models.sizes import sides_after, size_formula
from tests.unit.models.test_every_network import make


def levels(model, x):
    return [
        (level.name, level.channels, level.sides)
        for level in describe.describe_network(model, x).levels
    ]


@pytest.mark.parametrize("name", models.names())
def test_the_levels_of_a_description_are_those_of_a_real_forward_pass(name):
    model = make(name, in_channels=2)
    real = levels(model, torch.rand(1, 2, 33, 70))
    assert len(real) > 5
    assert real[-1][1] == 3
    assert levels(model.to("meta"), torch.empty(1, 2, 33, 70, device="meta")) == real


@pytest.mark.parametrize("name", models.names())
def test_a_description_counts_all_parameters_and_names_the_paper(name):
    with torch.device("meta"):
        model = make(name)
        made = describe.describe_network(model, torch.empty(1, 1, 64, 96))
    assert made.parameters == models.count_parameters(model)
    assert 0 < sum(level.parameters for level in made.levels) <= made.parameters
    assert 0 < sum(level.multiply_adds for level in made.levels) <= made.multiply_adds
    assert re.fullmatch(r"arXiv:\d{4}\.\d{4,5}", describe.paper_of(name))


def layers():
    for kernel in (1, 2, 3, 7):
        for stride in (1, 2, 3):
            for padding in {0, kernel // 2}:
                for ceil in (False, True):
                    yield nn.MaxPool2d(kernel, stride, padding, ceil_mode=ceil)
                    yield nn.AvgPool2d(kernel, stride, padding, ceil_mode=ceil)
                yield nn.ConvTranspose2d(1, 1, kernel, stride, padding, output_padding=stride - 1)
                for dilation in (1, 2):
                    yield nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    yield nn.MaxPool2d(3, 2, 1, dilation=2, ceil_mode=True)
    yield nn.Conv2d(1, 1, (1, 5), stride=(2, 1), padding=(0, 2))


@pytest.mark.parametrize("sides", [(17, 20), (32, 64), (15, 15)])
def test_the_formula_gives_the_size_that_torch_gives(sides):
    x = torch.empty(1, 1, *sides)
    for layer in layers():
        assert sides_after(layer, sides) == tuple(layer(x).shape[-2:]), layer


def test_the_formula_stands_there_with_its_numbers():
    conv = nn.Conv2d(3, 8, 7, stride=2, padding=3)
    assert size_formula(conv, (256, 512)) == "floor(([256, 512] + 2*3 - 1*(7 - 1) - 1)/2) + 1"
    assert size_formula(conv, (256, 256)) == "floor((256 + 2*3 - 1*(7 - 1) - 1)/2) + 1"
    assert (
        size_formula(nn.MaxPool2d(2, ceil_mode=True), (5, 5))
        == "ceil((5 + 2*0 - 1*(2 - 1) - 1)/2) + 1"
    )
    assert (
        size_formula(nn.ConvTranspose2d(1, 1, 2, stride=2), (5, 5))
        == "(5 - 1)*2 - 2*0 + 1*(2 - 1) + 0 + 1"
    )
    text = size_formula(nn.Conv2d(1, 1, (1, 5)), (8, 8))
    assert text == "floor((8 + 2*0 - 1*(1 - 1) - 1)/1) + 1 x floor((8 + 2*0 - 1*(5 - 1) - 1)/1) + 1"


def test_a_pooling_by_a_function_is_a_level_too():
    class Pooling(nn.Module):
        def forward(self, x):
            return nn.functional.avg_pool2d(nn.functional.max_pool2d(x, 3, stride=2), 2, padding=1)

    assert levels(nn.Sequential(Pooling(), nn.MaxPool2d(2)), torch.rand(1, 4, 16, 16)) == [
        ("0.max_pool2d", 4, (7, 7)),
        ("0.avg_pool2d", 4, (4, 4)),
        ("1", 4, (2, 2)),
    ]


def test_a_formula_that_disagrees_with_the_forward_pass_is_found():
    class Wrong(nn.Conv2d):
        def forward(self, x):
            return super().forward(x)[..., :-1, :]

    with pytest.raises(AssertionError, match=r"0 gives \(7, 8\), its formula \(8, 8\)"):
        describe.describe_network(nn.Sequential(Wrong(1, 1, 3, padding=1)), torch.rand(1, 1, 8, 8))


def test_a_unets_levels_halve_and_double():
    found = describe.describe_by_name(
        "unet", {}, "", in_channels=1, num_classes=2, sides=(256, 512)
    ).levels
    assert [level.sides for level in found if "pool" in level.name] == [
        (128, 256), (64, 128), (32, 64), (16, 32),
    ]  # fmt: skip
    assert [level.channels for level in found if re.fullmatch(r"levels\.\d", level.name)] == [
        64, 128, 256, 512, 1024,
    ]  # fmt: skip
    assert found[1].origin == "ceil(([256, 512] + 2*0 - 1*(2 - 1) - 1)/2) + 1"


def test_multiply_adds_are_those_counted_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=4)
    )
    assert describe.multiply_adds(model, torch.empty(1, 3, 10, 20)) == 10 * 20 * (
        3 * 8 * 9 + 2 * 8 * 9
    )
    made = describe.describe_network(model, torch.empty(1, 3, 10, 20))
    assert [level.multiply_adds for level in made.levels] == [
        10 * 20 * 3 * 8 * 9,
        10 * 20 * 2 * 8 * 9,
    ]
    assert [level.parameters for level in made.levels] == [8 * 27 + 8, 8 * 18 + 8]
    assert made.multiply_adds == sum(level.multiply_adds for level in made.levels)
