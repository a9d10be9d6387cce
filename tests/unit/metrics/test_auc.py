import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from maskmill.metrics import Labels, create
from maskmill.metrics.auc import auc, probability_level
from maskmill.system.errors import MaskmillError
from tests.unit.metrics.cases import IGNORE, blobs, labels, sample, scores

BINARY = Labels(("background", "vessel"), (1,), IGNORE)


def of(p, truth):
    """Scores of two classes from probabilities of the second, one row of pixels."""
    p = torch.tensor([p])
    return scores(auc(labels=BINARY), sample(p > 0.5, [truth], torch.stack([1 - p, p])))


def test_four_pixels_by_hand():
    found = of([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0])
    # pairs in order, of four
    assert found["auroc/vessel"] == found["auroc_foreground"] == pytest.approx(3 / 4)
    assert found["average_precision/vessel"] == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)


def test_ties_count_half():
    assert of([0.5, 0.5], [1, 0])["auroc/vessel"] == 0.5


def test_pixels_of_one_kind_alone_have_no_roc():
    assert math.isnan(of([0.5, 0.9], [1, 1])["auroc/vessel"])
    assert of([0.5, 0.9], [1, 1])["average_precision/vessel"] == 1
    assert math.isnan(of([0.5, 0.9], [0, 0])["average_precision/vessel"])


@pytest.mark.parametrize("steps", [100, 1000])
def test_equals_scikit_learn_and_torchmetrics_on_the_levels(steps):
    samples = [blobs(seed) for seed in range(3)]
    truth = torch.cat([one.truth.flatten() for one in samples])
    found = scores(auc(labels=labels(), steps=steps), *samples)
    for i, c in ((1, "b"), (2, "c")):
        p = (
            torch.cat([probability_level(one.probabilities[i], steps).flatten() for one in samples])
            / steps
        )
        own = (truth == i).long()
        for name, references in (
            ("auroc", (roc_auc_score(own, p), binary_auroc(p, own).item())),
            (
                "average_precision",
                (average_precision_score(own, p), binary_average_precision(p, own).item()),
            ),
        ):
            assert found[f"{name}/{c}"] == pytest.approx(references[0], abs=1e-9)
            assert found[f"{name}/{c}"] == pytest.approx(references[1], abs=1e-6)


@pytest.mark.parametrize("sharpness", [0.1, 1, 2])
def test_rounding_hardly_matters_for_vague_and_sharp_networks(sharpness):
    one = blobs(0)
    p = (one.probabilities.double().log() * sharpness).softmax(0).float()
    exact = roc_auc_score(one.truth.flatten() == 1, p[1].flatten())
    found = scores(auc(labels=labels()), sample(one.predicted, one.truth, p))
    assert found["auroc/b"] == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("steps", [100, 1000])
@pytest.mark.parametrize("sharpness", [0.02, 1, 30])
def test_the_size_of_the_rounding_bounds_it(steps, sharpness):
    """Also where a network is so vague, or so sharp, that most pixels share a few levels."""
    one = blobs(0)
    p = (one.probabilities.double().log() * sharpness).softmax(0).float()
    found = scores(auc(labels=labels(), steps=steps), sample(one.predicted, one.truth, p))
    for name, exact in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        off = [
            abs(found[f"{name}/{c}"] - exact(one.truth.flatten() == i, p[i].flatten()))
            for i, c in ((1, "b"), (2, "c"))
        ]
        assert max(off) <= found[f"{name}_rounding"] + 1e-9


def test_the_size_of_the_rounding_by_hand():
    """Two pixels on one level are in the right order or in the wrong one."""
    tied = of([0.5, 0.5], [1, 0])
    assert (tied["auroc/vessel"], tied["auroc_rounding"]) == (0.5, 0.5)
    assert tied["average_precision/vessel"] == tied["average_precision_rounding"] == 0.5
    apart = of([0.9, 0.6, 0.4, 0.1], [1, 0, 1, 0])
    assert apart["auroc_rounding"] == pytest.approx(0)
    assert apart["average_precision_rounding"] == pytest.approx(0)


def test_fewer_than_a_hundred_levels_are_refused():
    with pytest.raises(MaskmillError, match=r"steps: got 20.*100"):
        create({"auc": {"steps": 20}}, BINARY)


def test_ignored_pixels_are_cut_out():
    one = blobs(1)
    ignored = np.random.default_rng(0).random(one.truth.shape) < 0.3
    given = sample(one.predicted, np.where(ignored, IGNORE, one.truth), one.probabilities)
    p = probability_level(one.probabilities[1], 1000).numpy()[~ignored]
    assert scores(auc(labels=labels()), given)["auroc/b"] == pytest.approx(
        roc_auc_score(one.truth.numpy()[~ignored] == 1, p), abs=1e-9
    )
