import weakref

import pytest
import torch
import torch.nn.functional as F

from maskmill.models.decoders import BILINEAR, TRANSPOSED, UNetDecoder, Up
from maskmill.models.skips import AttentionGate


@pytest.mark.parametrize("size", [(16, 20), (15, 21)], ids=["even", "odd"])
def test_reducing_before_upsampling_equals_upsampling_before_reducing(size):
    torch.manual_seed(0)
    up = Up(12, 6, 5).eval()
    x, skip = torch.randn(2, 12, 8, 11), torch.randn(2, 6, *size)
    with torch.no_grad():
        late = up.reduce(F.interpolate(x, size=size, mode="bilinear"))
        assert torch.allclose(up(x, skip), up.convs(torch.cat([skip, late], 1)), atol=1e-5)


@pytest.mark.parametrize("upsampling", [BILINEAR, TRANSPOSED], ids=["bilinear", "transposed"])
def test_the_result_has_the_size_of_the_skip(upsampling):
    for size in [(1, 1), (7, 5), (8, 8)]:
        assert Up(4, 3, 6, upsampling=upsampling).eval()(
            torch.randn(1, 4, 4, 4), torch.randn(1, 3, *size)
        ).shape == (
            1,
            6,
            *size,
        )


def test_the_skip_is_used():
    up = Up(4, 3, 6).eval()
    x, skip = torch.randn(1, 4, 4, 4), torch.randn(1, 3, 8, 8)
    assert not torch.equal(up(x, skip), up(x, skip + 1))


@pytest.mark.parametrize(("widths", "out"), [(None, 4), ((10, 7, 9), 10)])
def test_the_decoder_ends_at_the_finest_map(widths, out):
    decoder = UNetDecoder((4, 8, 16, 32), widths).eval()
    maps = [torch.randn(1, c, 24 // 2**i, 40 // 2**i) for i, c in enumerate((4, 8, 16, 32))]
    assert decoder.out_channels == out
    assert decoder(maps).shape == (1, out, 24, 40)


def test_widths_that_do_not_fit_the_maps_are_our_mistake():
    with pytest.raises(ValueError, match="zip"):
        UNetDecoder((4, 8, 16), (4,))


@pytest.mark.parametrize("size", [(8, 10), (7, 9)], ids=["even", "odd"])
def test_a_transposed_convolution_puts_two_by_two_in_the_place_of_one(size):
    torch.manual_seed(0)
    up, x, skip = (
        Up(3, 2, 5, upsampling=TRANSPOSED).eval(),
        torch.randn(1, 3, 4, 5),
        torch.randn(1, 2, *size),
    )
    blocks = torch.einsum("ncyx,coij->noyixj", x, up.reduce.weight) + up.reduce.bias.reshape(
        1, -1, 1, 1, 1, 1
    )
    whole = blocks.reshape(1, 5, 8, 10)[..., : size[0], : size[1]]
    assert torch.allclose(up(x, skip), up.convs(torch.cat([skip, whole], 1)), atol=1e-5)


def test_a_skip_without_channels_gives_its_size_alone():
    up, x = Up(4, 0, 6, skip_gate=AttentionGate).eval(), torch.randn(1, 4, 4, 4)
    assert up.skip_gate is None
    assert torch.equal(
        up(x, torch.empty(1, 0, 7, 8)),
        up.convs(F.interpolate(up.reduce(x), (7, 8), mode="bilinear")),
    )


def test_several_skips_are_joined_and_each_is_used():
    up = Up(4, 3, 6, n_concat=3).eval()
    x, one, other = torch.randn(1, 4, 4, 4), torch.randn(1, 3, 8, 8), torch.randn(1, 3, 8, 8)
    assert up.convs[0].in_channels == 6 + 2 * 3
    out = up(x, one, other)
    assert not torch.equal(out, up(x, one + 1, other))
    assert not torch.equal(out, up(x, one, other + 1))


def test_the_gate_of_a_skip_is_asked_with_the_map_below():
    asked = []

    class Gate(torch.nn.Module):
        def forward(self, skip, below):
            asked.append((tuple(skip.shape), tuple(below.shape)))
            return skip * 0

    up = Up(4, 3, 6, skip_gate=lambda skip, below: Gate()).eval()
    x, skip = torch.randn(1, 4, 4, 4), torch.randn(1, 3, 8, 8)
    assert torch.equal(up(x, skip), up(x, skip + 1))
    assert asked[0] == ((1, 3, 8, 8), (1, 4, 4, 4))


def test_in_prediction_a_map_is_freed_once_nothing_needs_it():
    decoder, living = UNetDecoder((4, 8, 16)).eval(), {}

    def watch(name, layer):
        def remember(module, args):
            living[name] = weakref.ref(args[0])

        layer.register_forward_pre_hook(remember)

    def left(module, args):
        living["after"] = {name for name, ref in living.items() if ref() is not None}

    watch("deepest", decoder.ups[1])
    watch("joined", decoder.ups[0].convs[0])
    decoder.ups[0].convs[2].register_forward_pre_hook(left)
    with torch.no_grad():
        decoder([torch.randn(1, c, 16 // 2**i, 16 // 2**i) for i, c in enumerate((4, 8, 16))])
    assert living["after"] == set()
