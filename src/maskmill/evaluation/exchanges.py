"""Inter-class indistinction: which classes are exchanged, where, and how confidently."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from maskmill.evaluation.objects import PART_PX, rounded_share

SURE = 0.9  # probability above which an error is a confident one
MOST_PAIRS = 50  # of the worst that are listed
_AT_BORDER, _INSIDE, _THIN = 0.7, 0.3, 0.6  # shares of pixels


class Exchanges:
    """Sums over the wrong pixels of each true and predicted class."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._pixels = np.zeros((k, k), dtype=np.int64)  # rows truth, as everywhere here
        self._images = np.zeros((k, k), dtype=np.int64)
        self._near = np.zeros((k, k), dtype=np.int64)
        self._sure = np.zeros((k, k), dtype=np.int64)
        self._confidence = np.zeros((k, k))

    def update(
        self, truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, near: np.ndarray
    ) -> None:
        """Take in the wrong pixels of an image, each array (E,).

        Of each pixel: true and predicted id, probability of the predicted class, and whether it is
        at the border.
        """
        cell = truth.astype(np.int32) * self._k + predicted
        pixels = self._count(cell)
        self._pixels += pixels
        both = pixels + pixels.T
        self._images += both >= PART_PX
        self._near += self._count(cell[near])
        self._sure += self._count(cell[confidence > SURE])
        self._confidence += np.bincount(cell, confidence, self._k**2).reshape(self._k, self._k)

    def result(
        self, classes: Sequence[str], pixels: np.ndarray, near: np.ndarray
    ) -> tuple[list[dict[str, Any]], int]:
        """Return the pairs, worst first, and how many are left out.

        `pixels` and `near`, (K,), are the true pixels, and those of them at a border.
        """
        with np.errstate(invalid="ignore"):
            rate, even = np.nan_to_num(self._pixels / pixels[:, None]), np.nan_to_num(near / pixels)
        pairs = np.argwhere(np.triu(self._pixels + self._pixels.T, 1)).tolist()
        ordered = [(i, j) if rate[i, j] >= rate[j, i] else (j, i) for i, j in pairs]
        ordered.sort(key=lambda pair: (-rate[pair], -self._both(self._pixels, pair), pair))
        listed = [self._pair(pair, classes, pixels, even) for pair in ordered[:MOST_PAIRS]]
        return listed, len(ordered) - len(listed)

    def _pair(
        self, pair: tuple[int, int], classes: Sequence[str], pixels: np.ndarray, even: np.ndarray
    ) -> dict[str, Any]:
        (a, b), both = pair, self._both(self._pixels, pair)
        at_border = self._both(self._near, pair) / both
        if_even = float(self._pixels[a, b] * even[a] + self._pixels[b, a] * even[b]) / both
        return {
            "a": classes[a],
            "b": classes[b],
            "a_as_b": rounded_share(self._pixels[a, b], pixels[a]),
            "b_as_a": rounded_share(self._pixels[b, a], pixels[b]),
            "pixels": int(both),
            "images": int(self._images[a, b]),
            "at_border": round(at_border, 6),
            "at_border_if_even": round(if_even, 6),
            "where": describe_place(at_border, if_even),
            "confidence": rounded_share(self._both(self._confidence, pair), both),
            "sure": rounded_share(self._both(self._sure, pair), both),
        }

    def _both(self, table: np.ndarray, pair: tuple[int, int]) -> float:
        return float(table[pair] + table[pair[::-1]])

    def _count(self, cell: np.ndarray) -> np.ndarray:
        return np.bincount(cell, minlength=self._k**2).reshape(self._k, self._k)


def describe_place(at_border: float, if_even: float) -> str:
    """Say in a word where exchanged pixels lie.

    It follows from the share of them at a border and the one that evenly spread errors would have.
    """
    if if_even >= _THIN:
        return "thin"
    if at_border >= _AT_BORDER:
        return "at the border"
    return "inside" if at_border <= _INSIDE else "both"
