"""Losses that are a mean over pixels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def at_least_float32(logits: Tensor) -> Tensor:
    """The logits in float32, or as they are where that is more."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def pixel_cross_entropy(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """-log softmax(logits)[target], 0 at ignored pixels: (N, K, H, W), (N, H, W) -> (N, H, W).

    Not summed by PyTorch, whose sum has no deterministic order on a GPU.
    """
    return F.cross_entropy(
        at_least_float32(logits), target, ignore_index=ignore_index, reduction="none"
    )


def pixel_mean(
    values: Tensor, target: Tensor, ignore_index: int, class_weights: Sequence[float] | None
) -> Tensor:
    """Sum of w[target] v over sum of w[target], of the pixels that are not ignored.

    It is 0 where all are ignored.

    values: v, (N, H, W), 0 at ignored pixels.
    """
    valid = target != ignore_index
    if class_weights is None:
        return values.sum() / valid.sum().clamp(min=1)
    weights = values.new_tensor(class_weights)[target.where(valid, 0)] * valid  # (N, H, W)
    return (weights * values).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
