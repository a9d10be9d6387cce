"""From stored pixels to network input, by one function that is saved with the model.

Training, evaluation and serving share it.
"""

from collections.abc import Iterable
from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from maskmill.images.moments import Moments
from maskmill.system.errors import MaskmillError


class Preprocessing(BaseModel):
    """(x / 255 - mean) / std per channel in fp32, with mean and std of the training images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, measured: Iterable[Moments]) -> Self:
        """Mean and standard deviation of each channel over all pixels.

        They come from moments, each of one or more images.

        Raises: MaskmillError when there is no pixel.
        """
        pixels, totals, squares = 0, np.zeros(1, np.int64), np.zeros(1, np.int64)
        for count, total, square in measured:
            pixels, totals, squares = pixels + count, totals + total, squares + square
        if not pixels:
            raise MaskmillError(
                "the split `train` is empty: there is no image to measure; "
                "give it images by `splits` in params.yaml or data/splits.csv"
            )
        mean = totals / pixels
        # a constant channel: no division by 0
        std = np.sqrt(np.maximum(squares / pixels - mean**2, 1.0))
        return cls(mean=tuple((mean / 255).tolist()), std=tuple((std / 255).tolist()))

    def apply(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> (N, C, H, W) float32, standardised."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        return (images.float() / 255 - mean) / std
