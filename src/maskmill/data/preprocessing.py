"""From stored pixels to network input: one function for training, evaluation and serving, saved with the model."""

from typing import Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor


class Preprocessing(BaseModel):
    """(x / 255 - mean) / std per channel, in fp32; mean and std are those of the training images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(cls, images: list[np.ndarray]) -> Self:
        """Measure (H, W, C) uint8 images: pooled mean and standard deviation over all pixels of each channel."""
        pixels = sum(image[..., 0].size for image in images)
        totals = sum(image.sum(axis=(0, 1), dtype=np.float64) for image in images)
        squares = sum((image.astype(np.float64) ** 2).sum(axis=(0, 1)) for image in images)
        mean = np.asarray(totals) / pixels
        std = np.sqrt(np.maximum(np.asarray(squares) / pixels - mean**2, 1.0))  # a constant channel: no division by 0
        return cls(mean=tuple((mean / 255).tolist()), std=tuple((std / 255).tolist()))

    def apply(self, images: Tensor) -> Tensor:
        """(N, C, H, W) uint8 -> (N, C, H, W) float32, standardised."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        return (images.float() / 255 - mean) / std
