import itertools
import math

import pytest
import torch

from maskmill import models
from maskmill.training import optim


@pytest.fixture
def train(params):
    return params.train.model_copy(update={"learning_rate": 0.1, "warmup_steps": 4, "steps": 24, "weight_decay": 0.5})


def test_the_rate_rises_in_a_line_then_falls_by_half_a_cosine(train):
    rates = [optim.learning_rate(step, train) for step in range(25)]
    assert rates[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert rates[4] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(0.1 * (1 + math.sqrt(0.5)) / 2)
    assert rates[14] == pytest.approx(0.05)
    assert rates[24] == pytest.approx(0, abs=1e-12)
    assert all(a > b for a, b in itertools.pairwise(rates[4:]))


def test_without_warm_up_the_first_step_has_the_full_rate(train):
    assert optim.learning_rate(0, train.model_copy(update={"warmup_steps": 0})) == pytest.approx(0.1)


def test_norms_and_biases_are_not_decayed(train):
    model = models.create("unet", in_channels=1, num_classes=2, feature_scale=16)
    optimizer = optim.optimizer(model, train)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert {decay[id(p)] for name, p in model.named_parameters() if name.endswith("bias")} == {0.0}
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert decay[id(module.weight)] == 0
        elif isinstance(module, torch.nn.Conv2d):
            assert decay[id(module.weight)] == 0.5
    assert len(decay) == len(list(model.parameters()))
