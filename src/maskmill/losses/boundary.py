"""Boundary loss: how far from the true contour the prediction is wrong."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from maskmill.losses import Loss
from maskmill.losses._pixels import at_least_float32


def boundary(*, ignore_index: int, foreground: Mapping[str, int] | None = None) -> Loss:
    """Mean over the pixels that are not ignored of the foreground's sum of |phi| |p - y|, in px.

    Kervadec et al., "Boundary loss for highly unbalanced segmentation", eq. (4) and (5),
    arXiv:1812.07032: their loss plus the constant that makes a perfect prediction 0, with the same
    gradient. |phi| is the distance, per image, to the class's contour, which runs between the
    pixels: to the nearest labelled pixel on its other side, less 0.5 px. A class that is absent
    from an image or fills it has no contour there and adds 0. Distances are computed in each call,
    on the CPU.
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        p = at_least_float32(logits).softmax(1)
        total = 0 * p.sum()
        classes = range(p.shape[1]) if foreground is None else tuple(foreground.values())
        for image, ids in zip(p, target.cpu().numpy(), strict=True):
            found, distances = _distances(ids, classes, ignore_index)
            phi = torch.from_numpy(distances).to(image)
            inside = torch.from_numpy(ids[None] == np.reshape(found, (-1, 1, 1))).to(image.device)
            total = total + (phi * torch.where(inside, 1 - image[found], image[found])).sum()
        return total / (target != ignore_index).sum().clamp(min=1)

    return loss


def _distances(
    ids: np.ndarray, classes: Sequence[int], ignore_index: int
) -> tuple[list[int], np.ndarray]:
    """Return the classes that have a contour in the image, and their |phi|.

    Shape of |phi|: (C, H, W) float32, 0 at ignored pixels.
    """
    valid = ids != ignore_index
    found, maps = [], [np.zeros((0, *ids.shape), np.float32)]
    for k in classes:
        inside = (ids == k) & valid
        outside = valid & ~inside
        if inside.any() and outside.any():
            to_other = np.where(
                inside, distance_transform_edt(~outside), distance_transform_edt(~inside)
            )
            found.append(k)
            maps.append(np.where(valid, to_other - 0.5, 0).astype(np.float32)[None])
    return found, np.concatenate(maps)
