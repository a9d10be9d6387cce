import pytest
import torch

from maskmill.models.squeeze_excite import (
    ConcurrentExcite,
    SpatialExcite,
    SqueezeExcite,
    wake_gates,
)


def test_the_gate_is_the_papers_formula():
    torch.manual_seed(0)
    gate, x = SqueezeExcite(32, reduction=4), torch.randn(2, 32, 5, 7)
    average = x.mean((2, 3))
    w1, w2 = gate.squeeze.weight[..., 0, 0], gate.excite.weight[..., 0, 0]
    s = torch.sigmoid((average @ w1.T + gate.squeeze.bias).relu() @ w2.T + gate.excite.bias)
    assert torch.allclose(gate(x), x * s[..., None, None], atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "reduction", "hidden"), [(8, 16, 4), (64, 16, 4), (128, 16, 8), (64, 1, 64)]
)
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


def test_a_position_is_gated_by_its_own_channels():
    torch.manual_seed(0)
    gate, x = SpatialExcite(6), torch.randn(2, 6, 5, 7)
    s = torch.sigmoid(
        (x * gate.squeeze.weight.reshape(1, 6, 1, 1)).sum(1, keepdim=True) + gate.squeeze.bias
    )
    assert torch.allclose(gate(x), x * s, atol=1e-6)


def test_concurrent_excitation_is_the_sum_of_both_with_half_the_channels_between():
    torch.manual_seed(0)
    gate, x = ConcurrentExcite(32), torch.randn(2, 32, 5, 7)
    assert gate.channel.squeeze.out_channels == 16
    assert torch.equal(gate(x), gate.channel(x) + gate.spatial(x))


def test_behind_a_relu_no_gate_starts_constant():
    """With four hidden units, one fresh gate in 16 is silent for every image; of 300, some are."""
    torch.manual_seed(0)
    x = torch.rand(4, 8, 6, 6)

    def silent(gate):
        return not gate.squeeze(x.mean((2, 3), keepdim=True)).relu().any()

    gates = [SqueezeExcite(8) for _ in range(300)]
    for gate in gates:
        torch.nn.init.kaiming_normal_(gate.squeeze.weight)
        torch.nn.init.zeros_(gate.squeeze.bias)
    assert sum(map(silent, gates)) > 3
    assert not any(silent(gate.apply(wake_gates)) for gate in gates)
