import pytest
import torch
import torch.nn.functional as F

from maskmill.models.decoders import UNetDecoder, Up


@pytest.mark.parametrize("size", [(16, 20), (15, 21)], ids=["even", "odd"])
def test_reducing_before_upsampling_equals_upsampling_before_reducing(size):
    torch.manual_seed(0)
    up = Up(12, 6, 5).eval()
    x, skip = torch.randn(2, 12, 8, 11), torch.randn(2, 6, *size)
    with torch.no_grad():
        late = up.reduce(F.interpolate(x, size=size, mode="bilinear"))
        assert torch.allclose(up(x, skip), up.convs(torch.cat([skip, late], 1)), atol=1e-5)


def test_the_result_has_the_size_of_the_skip():
    for size in [(1, 1), (7, 5), (8, 8)]:
        assert Up(4, 3, 6).eval()(torch.randn(1, 4, 4, 4), torch.randn(1, 3, *size)).shape == (1, 6, *size)


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
