import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from maskmill.losses.cross_entropy import cross_entropy


def test_two_pixels_by_hand():
    # (1, 2, 1, 2): p = 1/2 and 3/4
    logits = torch.tensor([[[0.0, math.log(3)]], [[0.0, 0.0]]])[None]
    target = torch.tensor([[[1, 0]]])
    assert cross_entropy(ignore_index=255)(logits, target).item() == pytest.approx(
        -(math.log(1 / 2) + math.log(3 / 4)) / 2
    )


def test_equals_scikit_learn_over_the_valid_pixels():
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(3, 4, 6, 5)), rng.integers(0, 4, (3, 6, 5))
    ignored = rng.random(target.shape) < 0.3
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = log_loss(target[~ignored], np.moveaxis(p, 1, -1)[~ignored], labels=range(4))
    given = torch.from_numpy(np.where(ignored, 255, target))
    assert cross_entropy(ignore_index=255)(torch.from_numpy(logits), given).item() == pytest.approx(
        expected, abs=1e-5
    )
