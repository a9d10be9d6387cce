import typing

import pytest
import torch

from maskmill.models import parts
from maskmill.system.errors import OptionError


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (parts.ENCODERS, parts.EncoderName),
        (parts.UPSAMPLING, parts.UpsamplingName),
        (parts.GATES, parts.GateName),
        (parts.SKIP_GATES, parts.SkipGateName),
        (parts.BOTTLENECKS, parts.BottleneckName),
    ],
    ids=["encoder", "upsampling", "gate", "skip_gate", "bottleneck"],
)
def test_a_table_holds_the_names_that_params_yaml_may_have(table, names):
    assert set(table) - {None} == set(typing.get_args(names))


@pytest.mark.parametrize("name", [name for name in parts.BOTTLENECKS if name])
def test_a_bottleneck_keeps_the_shape_of_the_deepest_map_down_to_one_pixel(name):
    block = parts.BOTTLENECKS[name](12)
    torch.nn.init.ones_(block.scales)
    for size in [(1, 1), (3, 5)]:
        assert block(torch.randn(2, 12, *size)).shape == (2, 12, *size)


def test_a_number_below_the_least_is_named_and_none_is_left_out():
    parts.check_least(4, width=4, stem_width=None)
    with pytest.raises(OptionError, match=r"^width: got 3; at least 4 channels$"):
        parts.check_least(4, " channels", width=3)
    with pytest.raises(OptionError, match=r"^deep_supervision: got nan; at least 0$"):
        parts.check_least(0, deep_supervision=float("nan"))


def test_a_reduction_reaches_its_gate_and_is_refused_without_one():
    assert parts.gate_named(None, None) is None
    assert parts.gate_named("se", 4)(32).squeeze.out_channels == 8
    with pytest.raises(
        OptionError,
        match=r"^reduction: got 4, which has no gate to act on; set gate: se, or delete",
    ):
        parts.gate_named(None, 4)
