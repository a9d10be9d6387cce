import math

import pytest
import torch
from monai.losses import FocalLoss

from maskmill.losses.cross_entropy import cross_entropy
from maskmill.losses.focal import focal


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 6, 5, generator=generator), torch.randint(
        0, 4, (2, 6, 5), generator=generator
    )


def test_two_pixels_by_hand():
    # (1, 2, 1, 2): p = 1/2 and 3/4
    logits = torch.tensor([[[0.0, math.log(3)]], [[0.0, 0.0]]])[None]
    expected = -((1 / 2) ** 2 * math.log(1 / 2) + (1 / 4) ** 2 * math.log(3 / 4)) / 2
    assert focal(ignore_index=255)(logits, torch.tensor([[[1, 0]]])).item() == pytest.approx(
        expected
    )


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_equals_monai(batch, gamma):
    logits, target = batch
    reference = FocalLoss(
        use_softmax=True, to_onehot_y=True, gamma=gamma, reduction="none", include_background=True
    )
    # MONAI's mean is also over the classes
    expected = reference(logits, target[:, None]).sum(1).mean()
    assert focal(ignore_index=255, gamma=gamma)(logits, target).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


def test_gamma_0_is_cross_entropy(batch):
    for weights in (None, (1.0, 2.0, 3.0, 4.0)):
        plain = cross_entropy(ignore_index=255, class_weights=weights)(*batch)
        assert focal(ignore_index=255, class_weights=weights, gamma=0.0)(
            *batch
        ).item() == pytest.approx(plain.item())
