import pytest
import torch
import torch.nn.functional as F

from maskmill.models.skips import AttentionGate, OwnGate
from maskmill.models.squeeze_excite import SqueezeExcite


def maps(size=(12, 16), below=(6, 8)):
    torch.manual_seed(0)
    return torch.randn(2, 10, *size), torch.randn(2, 20, *below)


def test_the_gate_is_the_papers_formula():
    gate, (skip, below) = AttentionGate(10, 20), maps()
    w_x, w_g, psi = (
        gate.of_skip.weight[..., 0, 0],
        gate.of_below.weight[..., 0, 0],
        gate.psi.weight[..., 0, 0],
    )
    coarse = F.avg_pool2d(skip, 2)  # bilinear at exactly half the size
    x, g = (
        coarse.permute(0, 2, 3, 1) @ w_x.T,
        below.permute(0, 2, 3, 1) @ w_g.T + gate.of_below.bias,
    )
    alpha = torch.sigmoid((x + g).relu() @ psi.T + gate.psi.bias).permute(0, 3, 1, 2)
    expected = skip * F.interpolate(alpha, scale_factor=2, mode="bilinear")
    assert torch.allclose(gate(skip, below), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "below"), [((7, 5), (4, 3)), ((1, 1), (1, 1)), ((8, 8), (8, 8))], ids=str
)
def test_any_sizes_fit(size, below):
    skip, below = maps(size, below)
    assert AttentionGate(10, 20)(skip, below).shape == skip.shape


def test_the_map_below_opens_and_shuts_it():
    gate, (skip, below) = AttentionGate(10, 20), maps()
    assert not torch.allclose(gate(skip, below), gate(skip, below + 1))
    torch.nn.init.constant_(gate.psi.bias, -100.0)
    assert gate(skip, below).abs().max() < 1e-6
    torch.nn.init.constant_(gate.psi.bias, 100.0)
    assert torch.allclose(gate(skip, below), skip)


def test_a_narrow_skip_keeps_four_hidden_channels():
    assert AttentionGate(2, 20).psi.in_channels == 4
    assert AttentionGate(64, 20).psi.in_channels == 32


def test_an_own_gate_looks_at_the_skip_alone():
    gate, (skip, below) = OwnGate(10, 20, gate=SqueezeExcite), maps()
    assert torch.equal(gate(skip, below), gate(skip, below + 1))
    assert torch.equal(gate(skip, below), gate.gate(skip))
