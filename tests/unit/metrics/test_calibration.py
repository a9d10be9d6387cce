import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from maskmill.metrics.calibration import calibration
from tests.unit.metrics.cases import IGNORE, blobs, labels, sample, scores


def pooled(samples):
    p = torch.cat([one.probabilities.flatten(1) for one in samples], dim=1).T
    return p, torch.cat([one.truth.flatten() for one in samples]).long()


def test_two_bins_by_hand():
    p = torch.tensor([[0.6, 0.6, 0.9, 0.9], [0.4, 0.4, 0.1, 0.1]])[:, None]
    one = sample([[0, 0, 0, 0]], [[0, 1, 0, 0]], p)
    family = calibration(labels=labels(2), bins=5)
    found = scores(family, one)
    assert found["ece"] == pytest.approx(0.5 * (0.6 - 0.5) + 0.5 * (1 - 0.9))
    assert found["brier"] == pytest.approx((2 * 0.4**2 + 2 * 0.6**2 + 2 * 2 * 0.1**2) / 4)
    confidence, accuracy, pixels = family.reliability(family.statistic(one))
    assert pixels.tolist() == [0, 0, 0, 2, 2]
    assert confidence[3:].tolist() == pytest.approx([0.6, 0.9])
    assert accuracy[3:].tolist() == pytest.approx([0.5, 1])
    assert confidence[:3].isnan().all()


@pytest.mark.parametrize("bins", [10, 15])
def test_equals_torchmetrics_and_scikit_learn(bins):
    samples = [blobs(seed, size=(16, 20)) for seed in range(3)]  # torchmetrics sums in float32
    p, truth = pooled(samples)
    family = calibration(labels=labels(), bins=bins)
    found = scores(family, *samples)
    assert found["ece"] == pytest.approx(
        multiclass_calibration_error(p, truth, 3, n_bins=bins).item(), abs=1e-6
    )
    assert found["brier"] == pytest.approx(
        brier_score_loss(
            truth,
            p.double() / p.double().sum(1, keepdim=True),
            labels=range(3),
            scale_by_half=False,
        ),
        abs=1e-6,
    )
    confidence, accuracy, pixels = family.reliability(sum(family.statistic(one) for one in samples))
    own, right = p.max(1).values.double(), p.max(1).indices == truth
    expected = calibration_curve(right, own, n_bins=bins)
    assert accuracy[pixels > 0].tolist() == pytest.approx(expected[0].tolist(), abs=1e-9)
    assert confidence[pixels > 0].tolist() == pytest.approx(expected[1].tolist(), abs=1e-9)


def test_ignored_pixels_are_cut_out():
    one = blobs(1)
    ignored = np.random.default_rng(0).random(one.truth.shape) < 0.3
    given = sample(one.predicted, np.where(ignored, IGNORE, one.truth), one.probabilities)
    valid = ~ignored.ravel()
    p, truth = pooled([one])
    expected = multiclass_calibration_error(p[valid], truth[valid], 3, n_bins=15).item()
    assert scores(calibration(labels=labels()), given)["ece"] == pytest.approx(expected, abs=1e-6)


def test_sums_of_many_resamples_have_bins_at_once():
    family = calibration(labels=labels(), bins=4)
    sums = torch.stack([family.statistic(blobs(seed)) for seed in range(2)])
    for part in family.reliability(sums):
        assert part.shape == (2, 4)
