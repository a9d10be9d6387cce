"""Whether an image is cut into the right segments: foreground-restricted Rand and information.

Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for
connectomics", sec. 2.3, Frontiers in Neuroanatomy 9:142, 2015, the scores of ISBI 2012. Segments
are the connected components of one class, which the other classes part, as membranes part cells.
Only pixels inside true segments count (foreground-restricted). With `thin` the predicted segments
first grow until they meet, so that the width of what parts them does not count; without it each
such pixel inside a true segment is a segment of its own. Each image has its scores, the mean is
over images.
"""

from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from maskmill.metrics import Labels, Metric, Sample, divide_or_nan
from maskmill.metrics.objects import joint_counts, label_components
from maskmill.system.components import suggest
from maskmill.system.errors import MaskmillError

_DEFINITIONS = MappingProxyType({
    "v_rand": "sum p_ij^2 / (sum s_i^2 / 2 + sum t_j^2 / 2), mean over images: with p_ij the share "
              "of pixels in predicted segment i and true segment j, s_i and t_j its sums; "
              "segments are parts of {segments}; harmonic mean of the two below",
    "v_rand_split": "sum p_ij^2 / sum t_j^2, mean over images: low where true segments were split",
    "v_rand_merge": "sum p_ij^2 / sum s_i^2, mean over images: low where true segments were merged",
    "v_info": "I(S; T) / (H(S) / 2 + H(T) / 2), mean over images: with the mutual information and "
              "the entropies of predicted and true segments; 1 where both are one segment",
    "v_info_split": "I(S; T) / H(S), mean over images: low where true segments were split; "
                    "1 where H(S) is 0",
    "v_info_merge": "I(S; T) / H(T), mean over images: low where true segments were merged; "
                    "1 where H(T) is 0",
})  # fmt: skip


class Partition(Metric):
    """V_rand and V_info, foreground-restricted, with their split and merge parts."""

    def __init__(self, labels: Labels, of: int, connectivity: Literal[4, 8], thin: bool) -> None:
        self._labels, self._of, self._connectivity, self._thin = labels, of, connectivity, thin
        self.fields = ("images", *_DEFINITIONS)
        self.definitions = {
            name: text.format(segments=labels.classes[of]) for name, text in _DEFINITIONS.items()
        }

    def statistic(self, sample: Sample) -> Tensor:
        valid = sample.truth.numpy() != self._labels.ignore_index
        truth, predicted = (
            label_components((mask.numpy() == self._of) & valid, self._connectivity)
            for mask in (sample.truth, sample.predicted)
        )
        if not truth.any():
            return torch.zeros(len(self.fields), dtype=torch.float64)
        if self._thin and predicted.any():
            predicted = _grow_segments(predicted)
        return torch.tensor(
            [1.0, *_scores(truth[truth > 0], predicted[truth > 0])], dtype=torch.float64
        )

    def scores(self, totals: Tensor) -> dict[str, Tensor]:
        return {
            name: divide_or_nan(totals[..., 1 + i], totals[..., 0])
            for i, name in enumerate(_DEFINITIONS)
        }


def _grow_segments(segments: np.ndarray) -> np.ndarray:
    """Each pixel outside the segments joins the nearest one."""
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(
        segments == 0, return_distances=False, return_indices=True
    )
    grown: np.ndarray = segments[tuple(nearest)]
    return grown


def _scores(truth: np.ndarray, predicted: np.ndarray) -> tuple[float, ...]:
    """The six scores of pixels (N,), from their true segments (from 1) and predicted (0: none)."""
    own = np.cumsum(predicted == 0) + predicted.max()
    predicted = np.where(predicted == 0, own, predicted)
    counts = (joint_counts(truth, predicted)[2], np.bincount(truth), np.bincount(predicted))
    shares = [c[c > 0] / len(truth) for c in counts]
    squares, of_t, of_s = (float((p**2).sum()) for p in shares)
    entropy, h_t, h_s = (abs(float((p * np.log(p)).sum())) for p in shares)
    information = max(h_t + h_s - entropy, 0.0)
    rand = (2 * squares / (of_t + of_s), squares / of_t, squares / of_s)
    return *rand, *(information / h if h else 1.0 for h in ((h_s + h_t) / 2, h_s, h_t))


def partition(
    *, labels: Labels, segments: str, connectivity: Literal[4, 8] = 4, thin: bool = True
) -> Partition:
    """Sums over images of V_rand and V_info of the components of class `segments`.

    The number of images stands beside them.

    Raises: MaskmillError when `segments` is no class.
    """
    if segments not in labels.classes:
        raise MaskmillError(
            f"params.yaml: metrics.partition.segments: got {segments!r}, "
            f"which is no class{suggest(segments, labels.classes)}; "
            f"name one of data.classes: {', '.join(labels.classes)}"
        )
    return Partition(labels, labels.classes.index(segments), connectivity, thin)
