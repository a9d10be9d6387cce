"""How sure a prediction is of each pixel."""

import math

import numpy as np
import torch
from torch import Tensor

KINDS = ("margin", "entropy")


def confidence_map(logits: Tensor, kind: str) -> np.ndarray:
    """(K, H, W) logits -> (H, W) uint8, 0 unsure to 255 sure.

    `margin` is the probability of the most likely class less that of the second; `entropy` is 1
    less the entropy of the probabilities over its most, log K.
    """
    probabilities = logits.softmax(0)
    if kind == "margin":
        first, second = probabilities.topk(2, dim=0).values
        sure = first - second
    else:
        entropy = -torch.special.xlogy(probabilities, probabilities).sum(0)
        sure = 1 - entropy / math.log(len(logits))
    scaled: np.ndarray = sure.mul(255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    return scaled
