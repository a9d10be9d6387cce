import pytest
import torch
from torch import nn

from maskmill.models.blocks import DoubleConv, conv_norm_relu, init_he


@pytest.mark.parametrize("norm", [True, False])
def test_a_convolution_has_a_bias_only_where_no_norm_follows(norm):
    for block in (conv_norm_relu(3, 8, norm=norm), DoubleConv(3, 8, norm=norm)):
        assert any(isinstance(m, nn.BatchNorm2d) for m in block) == norm
        assert [m.bias is not None for m in block if isinstance(m, nn.Conv2d)] == [not norm] * sum(
            isinstance(m, nn.Conv2d) for m in block
        )


def test_a_double_convolution_sees_5_px_and_keeps_the_size():
    block = DoubleConv(1, 4, norm=False)
    nn.init.ones_(block[0].weight)
    nn.init.ones_(block[2].weight)
    dot = torch.zeros(1, 1, 9, 9)
    dot[0, 0, 4, 4] = 1
    seen = (block(dot) - block(torch.zeros(1, 1, 9, 9)))[0, 0] > 0
    assert seen.shape == (9, 9)
    assert seen.nonzero().unique().tolist() == [2, 3, 4, 5, 6]


def test_he_initialisation_keeps_the_variance_through_a_relu():
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 256, 3)
    init_he(conv)
    assert conv.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not conv.bias.any()


def test_norms_start_near_one():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4096)
    init_he(norm)
    assert norm.weight.mean().item() == pytest.approx(1, abs=0.002)
    assert norm.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert not norm.bias.any()


def test_the_gate_of_a_double_convolution_comes_last():
    class Gate(nn.Module):
        def forward(self, x):
            return x * 0 + 7

    block = DoubleConv(1, 4, gate=lambda channels: Gate())
    assert (block(torch.randn(2, 1, 5, 5)) == 7).all()
