import pytest
import torch

from maskmill import models
from maskmill.errors import MaskmillError
from maskmill.models.squeeze_excite import SqueezeExcite


@pytest.mark.parametrize("name", ["resnet18_unet", "se_resnet18_unet"])
@pytest.mark.parametrize("option", ["width", "skip_channels"])
@pytest.mark.parametrize("value", [3, 0, -1])
def test_too_few_channels_name_the_option_and_the_least(name, option, value):
    with pytest.raises(MaskmillError) as raised:
        models.create(name, in_channels=1, num_classes=2, **{option: value})
    assert str(raised.value) == f"params.yaml: models.{name}.{option}: got {value}; at least 4 channels"


def test_a_reduction_below_one_is_refused():
    with pytest.raises(MaskmillError, match=r"models\.se_resnet18_unet\.reduction: got 0; at least 1"):
        models.create("se_resnet18_unet", in_channels=1, num_classes=2, reduction=0)


def test_squeeze_and_excitation_is_all_that_the_two_differ_in():
    plain, gated = (
        models.create(name, in_channels=1, num_classes=2, width=8) for name in ("resnet18_unet", "se_resnet18_unet")
    )
    extra = set(gated.state_dict()) - set(plain.state_dict())
    assert set(plain.state_dict()) <= set(gated.state_dict())
    assert all(".gate." in key for key in extra)
    assert sum(isinstance(m, SqueezeExcite) for m in gated.modules()) == 8


def test_the_reduction_reaches_the_gates():
    model = models.create("se_resnet18_unet", in_channels=1, num_classes=2, width=32, reduction=2)
    hidden = [m.squeeze.out_channels for m in model.modules() if isinstance(m, SqueezeExcite)]
    assert hidden == [16, 16, 32, 32, 64, 64, 128, 128]


def test_full_resolution_structure_reaches_the_logits_past_the_encoder():
    """A checkerboard of 1 px is what an encoder that starts with a stride of 2 blurs."""
    torch.manual_seed(0)
    model = models.create("resnet18_unet", in_channels=1, num_classes=2, width=8).eval()
    x = torch.zeros(1, 1, 64, 64)
    x[..., ::2, ::2] = x[..., 1::2, 1::2] = 1
    with torch.no_grad():
        whole = model(x)
        model.full_resolution.register_forward_hook(lambda module, args, out: out * 0)
        assert not torch.allclose(model(x), whole)
