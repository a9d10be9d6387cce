"""Soft Dice loss over a batch."""

import torch.nn.functional as F
from torch import Tensor

from maskmill.losses import Loss


def dice(*, ignore_index: int) -> Loss:
    """1 - mean over the classes present in the batch of 2 sum(p y) / (sum p + sum y).

    Milletari et al., "V-Net", sec. 3, arXiv:1606.04797, with the plain instead of the squared denominator. The sums run
    over all pixels of the batch that are not ignored; a class absent from the batch's targets is left out.
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        valid = (target != ignore_index).unsqueeze(1)  # (N, 1, H, W)
        p = logits.float().softmax(1) * valid
        y = F.one_hot(target.where(valid[:, 0], 0), logits.shape[1]).movedim(-1, 1) * valid
        overlap, size, support = ((t).sum((0, 2, 3)) for t in (p * y, p + y, y))  # (K,)
        present = support > 0
        scores = 2 * overlap / size.clamp(min=1e-6)
        return ((1 - scores) * present).sum() / present.sum().clamp(min=1)

    return loss
