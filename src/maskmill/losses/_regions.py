"""Losses over regions: what the prediction and the truth of a class have in common."""

from typing import NamedTuple

import torch
from torch import Tensor

from maskmill.losses._pixels import at_least_float32


class Overlap(NamedTuple):
    """Sums over the pixels of a batch that are not ignored, each (K,).

    p are probabilities; y is 1 in the class and else 0.
    """

    both: Tensor  # sum p y
    predicted: Tensor  # sum p
    support: Tensor  # sum y


def masked_probabilities(
    logits: Tensor, target: Tensor, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """Return softmax probabilities, and the target as one bool map per class.

    Both are (N, K, H, W), and 0 at ignored pixels.
    """
    valid = (target != ignore_index).unsqueeze(1)  # (N, 1, H, W)
    ids = torch.arange(logits.shape[1], device=target.device).view(1, -1, 1, 1)
    return at_least_float32(logits).softmax(1) * valid, (target.unsqueeze(1) == ids) & valid


def overlap_sums(logits: Tensor, target: Tensor, ignore_index: int) -> Overlap:
    """The three sums of each class."""
    p, y = masked_probabilities(logits, target, ignore_index)
    return Overlap((p * y).sum((0, 2, 3)), p.sum((0, 2, 3)), y.sum((0, 2, 3)))


def mean_over_present(losses: Tensor, support: Tensor) -> Tensor:
    """The mean of the classes' losses (K,) over those with support; 0 where there are none."""
    present = support > 0
    return (losses * present).sum() / present.sum().clamp(min=1)


def present_classes(target: Tensor, ignore_index: int) -> list[int]:
    """Ids of the classes that the batch holds, ascending; the device is waited for here."""
    return [
        k
        for k, count in enumerate(torch.bincount(target.flatten()).tolist())
        if count and k != ignore_index
    ]
