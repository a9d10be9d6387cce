import typing

import pytest
import torch

from maskmill.errors import MaskmillError
from maskmill.models import parts


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (parts.UPSAMPLING, parts.UpsamplingName),
        (parts.GATES, parts.GateName),
        (parts.SKIP_GATES, parts.SkipGateName),
        (parts.BOTTLENECKS, parts.BottleneckName),
    ],
    ids=["upsampling", "gate", "skip_gate", "bottleneck"],
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
    parts.check_least("x", 4, width=4, stem_width=None)
    with pytest.raises(MaskmillError, match=r"^params\.yaml: models\.x\.width: got 3; at least 4 channels$"):
        parts.check_least("x", 4, " channels", width=3)
    with pytest.raises(MaskmillError, match=r"^params\.yaml: models\.x\.deep_supervision: got nan; at least 0$"):
        parts.check_least("x", 0, deep_supervision=float("nan"))
