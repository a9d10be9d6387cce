"""The running average of the weights: what it is, and that it is what comes out."""

import pytest
import torch
from torch import nn

from maskmill.training.average import Average
from maskmill.training.checkpoint import Checkpoints
from tests.unit.training.lab import Stopped, equal, stop_after


def test_it_is_the_exponential_average_of_weights_and_statistics():
    network = nn.BatchNorm2d(1)
    average = Average(network, 0.5)
    expected = torch.tensor([1.0]), torch.tensor([0.0])
    for step, (weight, mean) in enumerate([(3.0, 1.0), (5.0, 2.0), (2.0, 7.0)]):
        with torch.no_grad():
            network.weight.fill_(weight)
            network.running_mean.fill_(mean)
            network.num_batches_tracked += 1
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = (
            decay * expected[0] + (1 - decay) * weight,
            decay * expected[1] + (1 - decay) * mean,
        )
    assert torch.allclose(average.network.weight, expected[0])
    assert torch.allclose(average.network.running_mean, expected[1])
    assert average.network.num_batches_tracked == 3


def test_the_averaged_weights_are_validated_and_come_out(lab):
    training = lab.training(ema=0.9, steps=4, val_every_steps=4)
    result = lab.fit(training, "a")
    assert equal(result.weights, training.average.network.state_dict())
    assert not equal(result.weights, training.plain.state_dict())
    plain = lab.fit(lab.training(ema=None, steps=4, val_every_steps=4), "b")
    assert result.history[0]["loss"] == plain.history[0]["loss"]
    assert result.best_score != pytest.approx(plain.best_score)


def test_it_goes_on_after_a_restart(lab):
    whole, resumed = lab.training(ema=0.9, steps=6), lab.training(ema=0.9, steps=6)
    expected = lab.fit(whole, "whole")
    with pytest.raises(Stopped):
        lab.fit(lab.training(ema=0.9, steps=6), "stopped", log=stop_after(1))
    assert Checkpoints(lab.folder / "stopped").latest().step == 3
    assert equal(lab.fit(resumed, "stopped").weights, expected.weights)
    assert equal(resumed.average.network.state_dict(), whole.average.network.state_dict())
