"""Measure intra-class inconsistency: how evenly objects are found, and what falls apart."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

OBJECT_PX = 16  # smaller true parts are no objects: one pixel decides too much of their recall
PART_PX = 4  # smaller spots are neither holes nor parts
_SIZES_PX = (OBJECT_PX, 64, 256, 1024, 4096)
_RECALL_BINS = 20
_MOST_PARTS = 4  # this many or more are counted together


def object_areas(truth: np.ndarray, valid: np.ndarray, foreground: Sequence[int]) -> np.ndarray:
    """(M,) px of each object: a connected part of one true foreground class, of at least 16 px."""
    sizes = [np.bincount(_connected_parts(valid & (truth == i))[1].ravel())[1:] for i in foreground]
    found = np.concatenate([np.zeros(0, dtype=np.int64), *sizes])
    return found[found >= OBJECT_PX]


def rounded_share(part: float, whole: float) -> float | None:
    """The quotient to six places, so that the order of images shows nowhere; None of nothing."""
    return round(float(part) / float(whole), 6) if whole else None


class _Found(NamedTuple):
    """The objects of one image, each (M,)."""

    kind: np.ndarray  # class id
    area: np.ndarray  # px
    hit: np.ndarray  # px predicted as the class
    parts: np.ndarray  # connected predicted parts of the class that overlap it
    holes: np.ndarray
    hole_px: np.ndarray


class ObjectErrors:
    """Sums and histograms over the connected parts of the truth, for each foreground class."""

    def __init__(self, k: int, foreground: Sequence[int]) -> None:
        self._k, self._foreground = k, foreground
        self._histogram = np.zeros((k, _RECALL_BINS), dtype=np.int64)
        self._parts = np.zeros((k, _MOST_PARTS + 1), dtype=np.int64)
        self._sizes = np.zeros((k, len(_SIZES_PX)), dtype=np.int64)
        self._size_recall = np.zeros((k, len(_SIZES_PX)))
        self._squares = np.zeros(k)  # of recall
        names = (
            "count",
            "area",
            "below_half",
            "above_90",
            "all_parts",
            "holes",
            "hole_px",
            "holed",
        )
        self._sums = {name: np.zeros(k, dtype=np.int64) for name in names}

    def update(self, truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray) -> None:
        """Take in one image: (H, W) ids, and where the truth is not ignored."""
        present = np.bincount(truth[valid], minlength=self._k)
        found = _find_objects(truth, predicted, valid, [i for i in self._foreground if present[i]])
        recall = found.hit / found.area
        self._add(
            self._histogram,
            found.kind,
            np.minimum((recall * _RECALL_BINS).astype(int), _RECALL_BINS - 1),
        )
        self._add(self._parts, found.kind, np.minimum(found.parts, _MOST_PARTS))
        size = np.searchsorted(_SIZES_PX, found.area, side="right") - 1
        self._add(self._sizes, found.kind, size)
        self._add(self._size_recall, found.kind, size, recall)
        self._squares += np.bincount(found.kind, recall**2, self._k)
        added = {
            "count": np.ones(len(recall)), "area": found.area,
            "below_half": recall < 0.5, "above_90": recall >= 0.9, "all_parts": found.parts,
            "holes": found.holes, "hole_px": found.hole_px, "holed": found.holes > 0,
        }  # fmt: skip
        for name, values in added.items():
            self._sums[name] += np.bincount(found.kind, values, self._k).astype(np.int64)

    def result(self, i: int) -> dict[str, Any] | None:
        """Of class i, as `Diagnostics.result` says; None for the background."""
        if i not in self._foreground:
            return None
        of = {name: int(values[i]) for name, values in self._sums.items()}
        n, parts = of["count"], self._parts[i]
        mean = float(self._size_recall[i].sum()) / n if n else 0.0
        spread = max(0.0, float(self._squares[i]) / n - mean**2) ** 0.5 if n else 0.0
        hit = n - int(parts[0])
        return {
            "count": n,
            "recall": rounded_share(mean, 1) if n else None,
            "sd": rounded_share(spread, 1) if n else None,
            "below_half": rounded_share(of["below_half"], n),
            "above_90": rounded_share(of["above_90"], n),
            "missed": rounded_share(parts[0], n),
            "histogram": self._histogram[i].tolist(),
            "by_size": [
                {"from_px": low, "to_px": high, "count": int(count),
                 "recall": rounded_share(total, count)}
                for low, high, count, total in zip(
                    _SIZES_PX, (*_SIZES_PX[1:], None), self._sizes[i], self._size_recall[i],
                    strict=True,
                )
            ],
            "holes": {
                "count": of["holes"], "pixels": of["hole_px"],
                "share": rounded_share(of["hole_px"], of["area"]),
                "objects": rounded_share(of["holed"], n),
            },
            "fragments": {
                "counts": parts.tolist(), "mean": rounded_share(of["all_parts"], hit),
                "broken": rounded_share(parts[2:].sum(), hit),
            },
        }  # fmt: skip

    def _add(
        self,
        table: np.ndarray,
        kind: np.ndarray,
        column: np.ndarray,
        values: np.ndarray | None = None,
    ) -> None:
        index = kind * table.shape[1] + column
        table += np.bincount(index, values, table.size).reshape(table.shape).astype(table.dtype)


def _find_objects(
    truth: np.ndarray, predicted: np.ndarray, valid: np.ndarray, present: Sequence[int]
) -> _Found:
    """Find the objects of at least 16 px.

    An object is a part of one true class of `present` that touches by sides or corners.
    """
    objects = [_connected_parts(valid & (truth == i)) for i in present]
    found = [_connected_parts(valid & (predicted == i)) for i in present]
    ids, counts = _number_through(objects, truth.shape)
    parts, _ = _number_through(found, truth.shape)
    right, n = (truth == predicted) & (ids > 0), int(counts.sum()) + 1
    area, hit = np.bincount(ids.ravel(), minlength=n), np.bincount(ids[right], minlength=n)
    # each object meets few parts: one sorted key per pixel of both, counted
    base = int(parts.max(initial=0)) + 1
    keys, pixels = np.unique(ids[right].astype(np.int64) * base + parts[right], return_counts=True)
    met = keys[pixels >= PART_PX] // base
    owner, hole_px = _holes(ids, truth, valid & (truth != predicted))
    kind = np.repeat(np.array(present, dtype=np.int64), counts)
    large = np.flatnonzero(area[1:] >= OBJECT_PX)
    return _Found(
        kind[large], area[1:][large], hit[1:][large], np.bincount(met, minlength=n)[1:][large],
        np.bincount(owner, minlength=n)[1:][large], np.bincount(owner, hole_px, n)[1:][large],
    )  # fmt: skip


def _holes(ids: np.ndarray, truth: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each wrong spot that an object encloses: the object and its pixels, both (holes,).

    Spots that touch, by side or corner, another true class, an ignored pixel or the image's edge
    are no holes.
    """
    count, spots = cv2.connectedComponents(wrong.astype(np.uint8), connectivity=8)
    around = np.ones((3, 3), dtype=np.uint8)
    rim = cv2.dilate(truth, around) != cv2.erode(truth, around)
    rim[[0, -1]], rim[:, [0, -1]] = True, True
    pixels = np.bincount(spots[wrong], minlength=count)
    open_ = np.bincount(spots[wrong & rim], minlength=count) > 0
    owner = np.zeros(count, dtype=np.int64)
    owner[spots[wrong]] = ids[wrong]
    closed = np.flatnonzero(~open_ & (pixels >= PART_PX) & (owner > 0))
    return owner[closed], pixels[closed]


def _connected_parts(mask: np.ndarray) -> tuple[int, np.ndarray]:
    """How many parts touch by sides or corners, and (H, W) int32 their numbers from 1."""
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return count - 1, parts


def _number_through(
    labelled: Sequence[tuple[int, np.ndarray]], shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint parts of several masks numbered through, 0 elsewhere, and how many each mask has."""
    joined = np.zeros(shape, dtype=np.int32)
    total = 0
    for count, parts in labelled:
        np.copyto(joined, parts + total, where=parts > 0)
        total += count
    return joined, np.array([count for count, _ in labelled], dtype=np.int64)
