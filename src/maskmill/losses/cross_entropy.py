"""Cross-entropy over the pixels of a batch."""

from collections.abc import Sequence

from torch import Tensor

from maskmill.losses import Loss
from maskmill.losses._pixels import pixel_cross_entropy, pixel_mean


def cross_entropy(*, ignore_index: int, class_weights: Sequence[float] | None = None) -> Loss:
    """Mean of -log p over all pixels of the batch that are not ignored.

    p is the softmax probability of the target class.

    With class weights w, sum w[target] (-log p) / sum w[target]. A class absent from the batch's
    targets takes part through the probability that it takes from the others.
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        values = pixel_cross_entropy(logits, target, ignore_index)
        return pixel_mean(values, target, ignore_index, class_weights)

    return loss
