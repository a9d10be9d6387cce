"""Test-time augmentation: an image mirrored, turned and scaled, and the mean of what is seen."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from maskmill.settings.config import Inference


@dataclass(frozen=True)
class View:
    """One way to look at an image: scaled, mirrored left to right, then turned."""

    mirrored: bool
    turns: int  # of 90 degrees, anticlockwise
    scale: float

    def apply(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32 -> the same, scaled and turned."""
        if self.scale != 1:
            size = [max(1, round(side * self.scale)) for side in images.shape[-2:]]
            images = functional.interpolate(images, size, mode="bilinear", antialias=self.scale < 1)
        images = images.flip(-1) if self.mirrored else images
        return torch.rot90(images, self.turns, (-2, -1)) if self.turns else images

    def undo(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """(N, K, H', W') of the view -> (N, K, *size)."""
        maps = torch.rot90(maps, -self.turns, (-2, -1)) if self.turns else maps
        maps = maps.flip(-1) if self.mirrored else maps
        if maps.shape[-2:] != size:
            maps = functional.interpolate(maps, size, mode="bilinear")
        return maps


AS_IT_IS = View(mirrored=False, turns=0, scale=1.0)


def views(settings: Inference) -> list[View]:
    """All views that the settings name; the image as it is comes first where it is one of them."""
    # a flip from top to bottom is one from left to right, turned by 180 degrees
    mirrored = {
        "none": [(False, 0)],
        "horizontal": [(False, 0), (True, 0)],
        "both": [(False, 0), (True, 0), (True, 2), (False, 2)],
    }[settings.flips]
    turns = range(4) if settings.quarter_turns else (0,)
    ways = dict.fromkeys((flip, (turn + more) % 4) for more in turns for flip, turn in mirrored)
    return [View(flip, turn, scale) for scale in settings.scales for flip, turn in ways]


def mean_probabilities(run: Callable[[Tensor], Tensor], images: Tensor, ways: list[View]) -> Tensor:
    """(N, C, H, W) -> (N, K, H, W): the mean of softmax(run(view)) over the views."""
    size = (images.shape[-2], images.shape[-1])
    total: Tensor | None = None
    for view in ways:
        seen = view.undo(run(view.apply(images)).float().softmax(1), size)
        total = seen if total is None else total.add_(seen)
    assert total is not None
    return total.div_(len(ways)) if len(ways) > 1 else total
