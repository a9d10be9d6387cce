import pytest
import torch

from maskmill import models
from maskmill.models import encoders
from maskmill.models.squeeze_excite import ConcurrentExcite, SqueezeExcite
from maskmill.system.errors import MaskmillError


@pytest.mark.parametrize("name", ["resnet18_unet", "se_resnet18_unet"])
@pytest.mark.parametrize(
    ("option", "value", "least"),
    [("width", value, "at least 4 channels") for value in (3, 0, -1)]
    + [("decoder_width", value, "at least 4 channels") for value in (3, 0)]
    + [("skip_channels", value, "at least 4 channels, or 0 for no such skip") for value in (3, -1)],
)
def test_too_few_channels_name_the_option_and_the_least(name, option, value, least):
    with pytest.raises(MaskmillError) as raised:
        models.create(name, in_channels=1, num_classes=2, **{option: value})
    assert str(raised.value) == f"params.yaml: models.{name}.{option}: got {value}; {least}"


def test_a_reduction_below_one_is_refused():
    with pytest.raises(
        MaskmillError, match=r"models\.se_resnet18_unet\.reduction: got 0; at least 1"
    ):
        models.create("se_resnet18_unet", in_channels=1, num_classes=2, reduction=0)


def test_squeeze_and_excitation_is_all_that_the_two_differ_in():
    plain, gated = (
        models.create(name, in_channels=1, num_classes=2, width=8)
        for name in ("resnet18_unet", "se_resnet18_unet")
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


def test_without_the_skip_at_full_resolution_only_its_own_weights_are_gone():
    torch.manual_seed(0)
    plain, whole = (
        models.create(
            "resnet18_unet",
            in_channels=1,
            num_classes=2,
            width=8,
            skip_channels=channels,
            skip_gate="scse",
        )
        for channels in (0, 8)
    )
    gone = set(whole.state_dict()) - set(plain.state_dict())
    assert set(plain.state_dict()) <= set(whole.state_dict())
    assert {
        key.split(".")[0] for key in gone if not key.startswith("decoder.ups.0.skip_gate.")
    } == {"full_resolution"}
    assert plain.eval()(torch.randn(1, 1, 33, 47)).shape == (1, 2, 33, 47)


def test_the_stem_has_its_least_width_too():
    with pytest.raises(
        MaskmillError, match=r"models\.resnet34_unet\.stem_width: got 3; at least 4 channels$"
    ):
        models.create("resnet34_unet", in_channels=1, num_classes=2, stem_width=3)


def test_a_transposed_up_step_that_must_keep_the_size_is_refused_with_both_ways_out():
    with pytest.raises(MaskmillError) as raised:
        models.create(
            "resnet50_unet", in_channels=1, num_classes=2, output_stride=16, upsampling="transposed"
        )
    assert (
        str(raised.value)
        == "params.yaml: models.resnet50_unet.upsampling: got transposed, which doubles the size at"
        " every step; with output_stride: 16 some steps keep it; set upsampling: bilinear, or"
        " output_stride: 32"
    )


def test_an_output_stride_that_there_is_not_is_answered_with_those_there_are():
    with pytest.raises(MaskmillError, match=r"output_stride: got 4: Input should be 32, 16 or 8$"):
        models.create("resnet18_unet", in_channels=1, num_classes=2, output_stride=4)


def test_parts_chosen_by_name_stand_where_they_belong():
    model = models.create(
        "resnet18_unet", in_channels=1, num_classes=2, width=8, gate="scse", skip_gate="se",
        stem_width=4, output_stride=8, bottleneck="position_attention",
    )  # fmt: skip
    assert isinstance(model.encoder.layer1[0].gate, ConcurrentExcite)
    assert all(isinstance(up.skip_gate.gate, SqueezeExcite) for up in model.decoder.ups)
    assert model.encoder.strides == (2, 4, 8, 8, 8)
    assert model.encoder.conv1[0].out_channels == 4
    assert model.bottleneck.scales.shape == (1,)
    assert model.eval()(torch.randn(1, 1, 33, 47)).shape == (1, 2, 33, 47)


@pytest.mark.parametrize(
    ("name", "encoder"),
    [
        (f"{name}_unet", name.removeprefix("se_"))
        for name in (
            "resnet18",
            "resnet34",
            "resnet50",
            "resnet101",
            "resnet152",
            "se_resnet34",
            "se_resnet50",
        )
    ]
    + [("resnext50_unet", "resnext50_32x4d"), ("wide_resnet50_unet", "wide_resnet50_2")],
)
def test_the_encoder_of_a_variant_is_the_one_it_is_named_after(name, encoder):
    with torch.device("meta"):
        model = models.create(name, in_channels=3, num_classes=2)
        plain = getattr(encoders, encoder)(in_channels=3)
    shapes = {
        key: value.shape for key, value in model.encoder.state_dict().items() if ".gate." not in key
    }
    assert shapes == {key: value.shape for key, value in plain.state_dict().items()}


@pytest.mark.parametrize("name", ["resnet18_unet", "resnet50_unet", "wide_resnet50_unet"])
def test_the_decoder_is_as_narrow_under_bottlenecks_as_under_basic_blocks(name):
    with torch.device("meta"):
        model = models.create(name, in_channels=1, num_classes=2, width=16)
    assert [up.convs[0].out_channels for up in model.decoder.ups] == [8, 16, 16, 32, 64]


@pytest.mark.parametrize("name", ["resnet18_unet", "resnet50_unet"])
def test_a_width_of_the_decoder_doubles_with_every_step_below_the_finest(name):
    with torch.device("meta"):
        model = models.create(name, in_channels=1, num_classes=2, width=64, decoder_width=16)
    assert [up.convs[0].out_channels for up in model.decoder.ups] == [16, 32, 64, 128, 256]
    assert model.head.weight.shape[1] == 16
