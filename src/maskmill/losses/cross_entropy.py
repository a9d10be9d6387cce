"""Cross-entropy over the pixels of a batch."""

import torch.nn.functional as F
from torch import Tensor

from maskmill.losses import Loss


def cross_entropy(*, ignore_index: int) -> Loss:
    """Mean of -log softmax(logits)[target] over all pixels of the batch that are not ignored."""

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        total = F.cross_entropy(logits.float(), target, ignore_index=ignore_index, reduction="sum")
        return total / (target != ignore_index).sum().clamp(min=1)

    return loss
