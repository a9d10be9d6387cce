"""Focal loss over the pixels of a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from maskmill.losses import Loss
from maskmill.losses._pixels import pixel_cross_entropy, pixel_mean
from maskmill.system.errors import MaskmillError


def focal(
    *, ignore_index: int, class_weights: Sequence[float] | None = None, gamma: float = 2.0
) -> Loss:
    """Mean of -(1 - p)^gamma log p over all pixels of the batch that are not ignored.

    p is the softmax probability of the target class.

    Lin et al., "Focal Loss for Dense Object Detection", eq. (4) and (5), arXiv:1708.02002, with
    softmax for the sigmoid and class weights w for alpha: sum w[target] v / sum w[target].
    `gamma: 0` is cross-entropy. A class absent from the batch's targets takes part through the
    probability that it takes from the others.
    Raises: MaskmillError for a negative gamma.
    """
    if gamma < 0:
        raise MaskmillError(
            f"params.yaml: train.losses.focal.gamma: got {gamma};"
            " 0 (cross-entropy) or more is needed"
        )

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        entropy = pixel_cross_entropy(logits, target, ignore_index)
        wrong = -torch.expm1(-entropy)  # 1 - p, without its rounding near p = 1
        # the slope of 0^gamma is no number
        values = entropy * wrong.clamp(min=torch.finfo(wrong.dtype).tiny) ** gamma
        return pixel_mean(values, target, ignore_index, class_weights)

    return loss
