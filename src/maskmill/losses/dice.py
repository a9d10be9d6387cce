"""Soft Dice loss over a batch."""

from torch import Tensor

from maskmill.losses import Loss
from maskmill.losses._regions import mean_over_present, overlap_sums


def dice(*, ignore_index: int) -> Loss:
    """1 - mean over the classes present in the batch of 2 sum(p y) / (sum p + sum y).

    Milletari et al., "V-Net", sec. 3, arXiv:1606.04797, with the plain instead of the squared
    denominator. The sums run over all pixels of the batch that are not ignored; a class absent from
    the batch's targets is left out.
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        both, predicted, support = overlap_sums(logits, target, ignore_index)
        return mean_over_present(1 - 2 * both / (predicted + support).clamp(min=1e-6), support)

    return loss
