import pytest
import torch

from maskmill import models
from maskmill.errors import MaskmillError


def test_the_papers_size_has_the_number_of_parameters_counted_by_hand():
    def twice(i, o):  # two 3x3 convolutions without bias, each with a norm of two values per channel
        return 9 * i * o + 2 * o + 9 * o * o + 2 * o

    contracting = twice(3, 64) + twice(64, 128) + twice(128, 256) + twice(256, 512) + twice(512, 1024)
    reducing = (1024 * 512 + 512) + (512 * 256 + 256) + (256 * 128 + 128) + (128 * 64 + 64)  # 1x1 with bias
    expanding = twice(1024, 512) + twice(512, 256) + twice(256, 128) + twice(128, 64)  # skip and deep map joined
    head = 64 * 2 + 2
    with torch.device("meta"):
        model = models.create("unet", in_channels=3, num_classes=2, feature_scale=1)
    assert models.parameters(model) == contracting + reducing + expanding + head


def test_feature_scale_divides_all_filters():
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16)
    assert [level[0].out_channels for level in model.levels] == [4, 8, 16, 32, 64]


def test_without_batch_norm_every_convolution_has_a_bias():
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16, batch_norm=False)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in model.modules())
    assert all(m.bias is not None for m in model.modules() if isinstance(m, torch.nn.Conv2d))


@pytest.mark.parametrize("scale", [0, -1, 17, 64])
def test_a_scale_that_leaves_too_few_filters_says_what_is_allowed(scale):
    with pytest.raises(MaskmillError) as raised:
        models.create("unet", in_channels=1, num_classes=2, feature_scale=scale)
    assert str(raised.value) == (
        f"params.yaml: models.unet.feature_scale: got {scale}, which leaves 64/{scale} filters at the top level; "
        "allowed are 1 to 16"
    )
