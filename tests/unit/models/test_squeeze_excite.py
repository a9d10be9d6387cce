import pytest
import torch

from maskmill.models.squeeze_excite import SqueezeExcite


def test_the_gate_is_the_papers_formula():
    torch.manual_seed(0)
    gate, x = SqueezeExcite(32, reduction=4), torch.randn(2, 32, 5, 7)
    average = x.mean((2, 3))
    w1, w2 = gate.squeeze.weight[..., 0, 0], gate.excite.weight[..., 0, 0]
    s = torch.sigmoid((average @ w1.T + gate.squeeze.bias).relu() @ w2.T + gate.excite.bias)
    assert torch.allclose(gate(x), x * s[..., None, None], atol=1e-6)


@pytest.mark.parametrize(("channels", "reduction", "hidden"), [(8, 16, 4), (64, 16, 4), (128, 16, 8), (64, 1, 64)])
def test_the_hidden_layer_has_at_least_four_units(channels, reduction, hidden):
    assert SqueezeExcite(channels, reduction=reduction).squeeze.out_channels == hidden


def test_with_8_channels_the_gate_still_follows_the_image():
    torch.manual_seed(0)
    gate = SqueezeExcite(8, reduction=16)
    x = torch.rand(16, 8, 4, 4) + 0.1
    factors = (gate(x) / x).mean((2, 3))  # (16, 8), one gate per image and channel
    assert factors.std(dim=0).min() > 1e-4
    assert (factors > 0).all()
    assert (factors < 1).all()
