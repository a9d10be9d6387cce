"""Soft clDice loss: are the centre lines of thin, connected structures found?"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from maskmill.losses import Loss
from maskmill.losses._regions import masked_probabilities, present_classes
from maskmill.system.components import suggest
from maskmill.system.errors import MaskmillError

# px of skeleton added to both sides of a ratio, as the authors' code does: a skeleton may be empty
_SMOOTH = 1.0


def cldice(
    *,
    ignore_index: int,
    foreground: Mapping[str, int] | None = None,
    classes: list[str] | None = None,
    iterations: int = 3,
) -> Loss:
    """1 - mean over the named classes present in the batch of 2 P S / (P + S).

    Shit et al., "clDice", alg. 1 and 2, arXiv:2003.07311: P, the share of the prediction's soft
    skeleton that lies in the truth, and S, the share of the truth's skeleton that lies in the
    prediction, each over all pixels of the batch that are not ignored. A class absent from the
    batch's targets is left out.
    iterations: of skeletonising, at least the largest radius of the structures in px.
    classes: names of the thin classes; None: all of the foreground.
    Raises: MaskmillError for a name that is no foreground class, or no iterations.
    """
    if iterations < 1:
        raise MaskmillError(
            f"params.yaml: train.losses.cldice.iterations: got {iterations}; 1 or more is needed"
        )
    chosen = _ids(foreground, classes)

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        p, y = masked_probabilities(logits, target, ignore_index)
        ids = [k for k in present_classes(target, ignore_index) if chosen is None or k in chosen]
        if not ids:
            return 0 * p.sum()
        valid = (target != ignore_index).unsqueeze(1)
        volume, truth = p[:, ids], y[:, ids].to(p.dtype)  # (N, C, H, W)
        precision = _share(_skeleton(volume, valid, iterations), truth)
        sensitivity = _share(_skeleton(truth, valid, iterations), volume)
        return (1 - 2 * precision * sensitivity / (precision + sensitivity)).mean()

    return loss


def _ids(foreground: Mapping[str, int] | None, classes: list[str] | None) -> set[int] | None:
    known = foreground or {}
    for name in classes or ():
        if name not in known:
            raise MaskmillError(
                f"params.yaml: train.losses.cldice.classes: {name!r} is no foreground"
                f" class{suggest(name, known)}; there are {', '.join(known)}"
            )
    if classes is None:
        return None if foreground is None else set(foreground.values())
    if not classes:
        raise MaskmillError(
            "params.yaml: train.losses.cldice.classes: [] names no class;"
            " delete it to take them all"
        )
    return {known[name] for name in classes}


def _share(skeleton: Tensor, volume: Tensor) -> Tensor:
    """(C,): of the skeleton's pixels, the share that lies in the volume."""
    return ((skeleton * volume).sum((0, 2, 3)) + _SMOOTH) / (skeleton.sum((0, 2, 3)) + _SMOOTH)


def _skeleton(volume: Tensor, valid: Tensor, iterations: int) -> Tensor:
    """Return the soft skeleton: what an opening loses at each of the erosions.

    It is (N, C, H, W) in [0, 1], and 0 at ignored pixels.
    """
    skeleton = torch.zeros_like(volume)
    for _ in range(iterations + 1):
        eroded = _erode(volume, valid)
        lost = (volume - _dilate(eroded, valid)).relu()
        skeleton = skeleton + (1 - skeleton) * lost
        volume = eroded
    return skeleton * valid


def _erode(volume: Tensor, valid: Tensor) -> Tensor:
    """The least of a pixel and its four neighbours; ignored ones have no say."""
    negative = -volume.where(valid, 1)
    rows, columns = (
        F.max_pool2d(negative, (3, 1), 1, (1, 0)),
        F.max_pool2d(negative, (1, 3), 1, (0, 1)),
    )
    return -torch.maximum(rows, columns)


def _dilate(volume: Tensor, valid: Tensor) -> Tensor:
    """The greatest of a pixel and its eight neighbours; ignored ones have no say."""
    return F.max_pool2d(volume.where(valid, 0), 3, 1, 1)
