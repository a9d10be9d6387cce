import pytest
import torch

from maskmill import models
from maskmill.models.attention import SIMILARITIES, ChannelAttention, PositionAttention
from maskmill.system.errors import MaskmillError

WHERE = "params.yaml: models.self_attention_unet"


def make(**options):
    return models.create(
        "self_attention_unet", in_channels=1, num_classes=2, feature_scale=16, **options
    )


@pytest.mark.parametrize(
    ("over", "kinds"),
    [
        ("positions", [PositionAttention]),
        ("channels", [ChannelAttention]),
        ("both", [PositionAttention, ChannelAttention]),
    ],
)
def test_what_is_attended_to(over, kinds):
    assert [type(branch) for branch in make(over=over).bottleneck.branches] == kinds


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_every_similarity_gives_finite_logits_at_an_odd_size(similarity):
    model = make(similarity=similarity, heads=2, pool=1).eval()
    torch.nn.init.ones_(model.bottleneck.scales)
    with torch.no_grad():
        assert torch.isfinite(model(torch.randn(1, 1, 37, 50))).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"over": "both", "similarity": "additive"},
            (
                f"{WHERE}.similarity: got additive, which would learn a weight for each position,"
                " whose number follows the image; over channels take dot, scaled_dot or cosine, or"
                " set over: positions"
            ),
        ),
        (
            {"over": "channels", "heads": 3},
            (
                f"{WHERE}.heads: got 3, which does not divide the 64 channels of the deepest map;"
                " take another"
            ),
        ),
        (
            {"over": "channels", "pool": 2},
            f"{WHERE}.pool: got 2, which over: channels has no use for; delete it",
        ),
        (
            {"heads": 33},
            f"{WHERE}.heads: got 33, which leaves no feature of the 32 for each; at most 32",
        ),
        ({"heads": 0}, f"{WHERE}.heads: got 0; at least 1"),
        ({"pool": 0}, f"{WHERE}.pool: got 0; at least 1"),
        (
            {"similarity": "dots"},
            (
                f"{WHERE}.similarity: got 'dots': Input should be 'dot', 'scaled_dot', 'cosine' or"
                " 'additive'"
            ),
        ),
    ],
)
def test_options_that_do_not_go_together_say_what_to_change(options, message):
    with pytest.raises(MaskmillError) as raised:
        make(**options)
    assert str(raised.value) == message
