"""Lovász-softmax loss over a batch."""

import torch
from torch import Tensor

from maskmill.losses import Loss
from maskmill.losses._pixels import at_least_float32
from maskmill.losses._regions import present_classes


def lovasz(*, ignore_index: int) -> Loss:
    """Mean over the present classes of the Lovász extension of 1 - IoU at the errors |y - p|.

    Berman et al., "The Lovász-Softmax loss", eq. (8), (9) and alg. 1, arXiv:1705.08790. One set of
    all pixels of the batch that are not ignored; a class absent from the batch's targets is left
    out.
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        p = at_least_float32(logits).softmax(1)
        valid = target != ignore_index
        total, classes = 0 * p.sum(), present_classes(target, ignore_index)
        for k in classes:
            truth = target == k
            # ignored pixels come last
            errors = torch.where(truth, 1 - p[:, k], p[:, k]).where(valid, -1)
            descending, order = errors.flatten().sort(descending=True, stable=True)
            total = total + (descending * _steps(truth.flatten()[order])).sum()
        return total / max(len(classes), 1)

    return loss


def _steps(truth: Tensor) -> Tensor:
    """Return by how much 1 - IoU grows as the pixels turn wrong one after the other.

    Shape: (P,) bool -> (P,) float32.

    After i pixels the intersection is I = G - (those of the class) and the union U = G + (the
    others). The differences are in closed form, since neighbours of a million pixels differ by less
    than float32 resolves.
    """
    inside = truth.cumsum(0)  # int64: exact, and in one order on every device
    union = inside[-1] + torch.arange(1, len(truth) + 1, device=truth.device) - inside
    left = inside[-1] - inside
    return torch.where(truth, 1 / union, left / union / (union - 1).clamp(min=1))
