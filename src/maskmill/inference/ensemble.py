"""Several models as one: the mean of their probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from maskmill.inference.predict import Predictor, mask_of


class Ensemble:
    """Models of one task that answer together, each in its own preprocessing and precision."""

    def __init__(self, members: Sequence[Predictor]) -> None:
        self.members = tuple(members)

    def predict(self, image: np.ndarray | Path | str) -> np.ndarray:
        """The mask of one image: (H, W) uint8 class ids."""
        return mask_of(self.logits(image))

    def logits(self, image: np.ndarray | Path | str) -> Tensor:
        """(K, H, W) float32: logarithms of the mean probabilities, whose softmax is that mean."""
        logs = torch.stack([member.logits(image).log_softmax(0) for member in self.members])
        return logs.logsumexp(0) - torch.tensor(len(self.members)).log()
