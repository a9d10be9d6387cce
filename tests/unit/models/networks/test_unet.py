import pytest
import torch

from maskmill import models
from maskmill.models.attention import ChannelAttention, PositionAttention
from maskmill.models.skips import AttentionGate
from maskmill.models.squeeze_excite import SqueezeExcite
from maskmill.system.errors import MaskmillError


def test_the_papers_size_has_the_number_of_parameters_counted_by_hand():
    # two 3x3 convolutions without bias, each with a norm of two values per channel
    def twice(i, o):
        return 9 * i * o + 2 * o + 9 * o * o + 2 * o

    contracting = (
        twice(3, 64) + twice(64, 128) + twice(128, 256) + twice(256, 512) + twice(512, 1024)
    )
    # 1x1 with bias
    reducing = (1024 * 512 + 512) + (512 * 256 + 256) + (256 * 128 + 128) + (128 * 64 + 64)
    # skip and deep map joined
    expanding = twice(1024, 512) + twice(512, 256) + twice(256, 128) + twice(128, 64)
    head = 64 * 2 + 2
    with torch.device("meta"):
        model = models.create("unet", in_channels=3, num_classes=2, feature_scale=1)
    assert models.count_parameters(model) == contracting + reducing + expanding + head


def test_feature_scale_divides_all_filters():
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16)
    assert [level[0].out_channels for level in model.levels] == [4, 8, 16, 32, 64]


def test_without_batch_norm_every_convolution_has_a_bias():
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16, batch_norm=False)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert all(m.bias is not None for m in model.modules() if isinstance(m, torch.nn.Conv2d))


@pytest.mark.parametrize("scale", [0, -1, 17, 64, float("nan")])
def test_a_scale_that_leaves_too_few_filters_says_what_is_allowed(scale):
    with pytest.raises(MaskmillError) as raised:
        models.create("unet", in_channels=1, num_classes=2, feature_scale=scale)
    assert (
        str(raised.value)
        == f"params.yaml: models.unet.feature_scale: got {scale}, which leaves 64/{scale} filters"
        " at the top level; allowed are 1 to 16"
    )


@pytest.mark.parametrize(
    ("options", "published"), [({}, 31_030_593), ({"feature_scale": 2}, 7_759_521)]
)
def test_with_transposed_convolutions_and_no_norm_the_count_is_the_published_one(
    options, published
):
    """31.03 M in re-implementations; 7.76 M of 32..512 filters in arXiv:1807.10165, table 2."""
    with torch.device("meta"):
        model = models.create(
            "unet",
            in_channels=1,
            num_classes=1,
            upsampling="transposed",
            batch_norm=False,
            **options,
        )
    assert models.count_parameters(model) == published


@pytest.mark.parametrize(
    ("scale", "filters"),
    [(3, [21, 42, 85, 170, 341]), (1.5, [42, 85, 170, 341, 682]), (4, [16, 32, 64, 128, 256])],
)
@pytest.mark.parametrize("upsampling", ["bilinear", "transposed"])
def test_widths_that_do_not_halve_exactly_are_rounded_down_and_work(scale, filters, upsampling):
    model = models.create(
        "unet", in_channels=1, num_classes=2, feature_scale=scale, upsampling=upsampling
    ).eval()
    assert [level[0].out_channels for level in model.levels] == filters
    with torch.no_grad():
        assert model(torch.randn(1, 1, 33, 18)).shape == (1, 2, 33, 18)


def test_layers_are_initialised_once_at_the_end_and_by_he():
    torch.manual_seed(0)
    model = models.create(
        "unet", in_channels=1, num_classes=2, feature_scale=2, upsampling="transposed"
    )
    conv = model.levels[3][0].weight
    assert conv.std().item() == pytest.approx((2 / conv[0].numel()) ** 0.5, rel=0.02)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert torch.cat([m.weight for m in norms]).std().item() == pytest.approx(0.02, rel=0.1)
    assert not any(m.bias.any() for m in norms)


def test_parts_chosen_by_name_stand_where_they_belong():
    model = models.create(
        "unet", in_channels=1, num_classes=2, feature_scale=16, gate="se", skip_gate="attention",
        bottleneck="dual_attention",
    )  # fmt: skip
    assert all(isinstance(level[-1], SqueezeExcite) for level in model.levels)
    assert all(isinstance(up.skip_gate, AttentionGate) for up in model.decoder.ups)
    assert [type(branch) for branch in model.bottleneck.branches] == [
        PositionAttention,
        ChannelAttention,
    ]


def test_se_unet_is_unet_with_that_gate_and_so_on():
    def keys(name, **options):
        with torch.device("meta"):
            model = models.create(name, in_channels=1, num_classes=2, feature_scale=16, **options)
        return {key: value.shape for key, value in model.state_dict().items()}

    assert keys("se_unet") == keys("unet", gate="se")
    assert keys("scse_unet") == keys("unet", gate="scse")
    assert keys("attention_unet") == keys("unet", skip_gate="attention")
    assert keys("self_attention_unet") == keys("unet", bottleneck="position_attention")
    assert keys("self_attention_unet", over="both", similarity="cosine") != keys(
        "unet", bottleneck="dual_attention"
    )


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("upsampling", "nearest", "'bilinear' or 'transposed'"),
        ("gate", "SE", "'se' or 'scse'"),
        ("skip_gate", "gate", "'attention', 'se' or 'scse'"),
        (
            "bottleneck",
            "attention",
            "'position_attention', 'channel_attention' or 'dual_attention'",
        ),
        ("batch_norm", "no", "valid boolean"),
    ],
)
def test_an_unknown_part_is_answered_with_the_known_ones(option, value, allowed):
    with pytest.raises(MaskmillError) as raised:
        models.create("unet", in_channels=1, num_classes=2, **{option: value})
    assert str(raised.value).startswith(
        f"params.yaml: models.unet.{option}: got {value!r}: Input should be "
    )
    assert str(raised.value).endswith(allowed)


@pytest.mark.parametrize("name", ["se_unet", "scse_unet"])
def test_a_reduction_below_one_is_refused(name):
    with pytest.raises(MaskmillError, match=rf"models\.{name}\.reduction: got 0; at least 1$"):
        models.create(name, in_channels=1, num_classes=2, reduction=0)


@pytest.mark.parametrize(
    "name", ["fcn", "unet_pp", "se_unet", "attention_unet", "self_attention_unet"]
)
def test_an_error_names_the_variant_that_it_is_about(name):
    with pytest.raises(
        MaskmillError, match=rf"^params\.yaml: models\.{name}\.feature_scale: got 99, "
    ):
        models.create(name, in_channels=1, num_classes=2, feature_scale=99)
