"""How long a training will take on this machine.

It is measured by a few steps and a validation image, whose results are dropped.
"""

import math
import time
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from maskmill.training.loading import Loading

if TYPE_CHECKING:
    from maskmill.training.loop import Training, Validator

_STEPS, _WARM_UP = 5, 2  # the first steps build kernels and take half as long again


def expected_seconds(training: "Training", loading: Loading, validation: "Validator") -> float:
    """Of the whole training, if patience does not end it before."""
    train = training.train
    start = time.perf_counter()
    images, masks = next(loading(0))
    waiting = 0.0 if loading.workers else time.perf_counter() - start
    validations = math.ceil(train.steps / train.val_every_steps)
    steps = (seconds_per_step(training, images, masks) + waiting) * train.steps
    return steps + seconds_of_validation(training, validation) * validations


def seconds_per_step(training: "Training", images: Tensor, masks: Tensor) -> float:
    """Measure a step, without leaving a trace in weights or optimizer."""
    before = {name: value.clone() for name, value in training.plain.state_dict().items()}
    times = []
    for _ in range(_STEPS):
        start = time.perf_counter()
        training.forward_backward(images, masks).item()
        training.optimizer.zero_grad()
        times.append(time.perf_counter() - start)
    training.plain.load_state_dict(before)
    return float(np.median(times[_WARM_UP:]))


def seconds_of_validation(training: "Training", validation: "Validator") -> float:
    """Measure one image, times all of them."""
    pixels = np.prod(validation.shard.sizes, axis=1)
    middle = int(np.argsort(pixels)[len(pixels) // 2])
    times = []
    for _ in range(_WARM_UP):
        start = time.perf_counter()
        training.predict(validation.shard[middle][0])
        times.append(time.perf_counter() - start)
    return float(times[-1] * pixels.sum() / pixels[middle] / training.fabric.world_size)
