"""Outlines as pixels, alike for all sources: polygons, boxes, ellipses, run lengths.

Coordinates are x, y in pixels from the upper left corner of the image, so that the first pixel
reaches from 0 to 1. A pixel belongs to a shape where its centre does, and polygons are drawn by
pycocotools: areas are true, and neighbours that share an edge share no pixel. cv2.fillPoly takes
every pixel that an edge touches, which makes each object wider by half a pixel all around.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

Size = tuple[int, int]  # height, width
_SHOWN = 80


def polygon_fault(polygon: Any, size: Size) -> str:
    """Why [x, y, x, y, ..] cannot be drawn into an image of that size; "" where it can."""
    points = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
    if points and _are_within_reach(polygon, size):
        return ""
    return _fault("a polygon needs three or more points x, y", polygon, size)


def numbers_fault(numbers: Any, count: int, needed: str, size: Size) -> str:
    """Why `numbers` are not so many coordinates or lengths, of which is said what is `needed`."""
    fit = isinstance(numbers, list) and len(numbers) == count and _are_within_reach(numbers, size)
    return "" if fit else _fault(needed, numbers, size)


def _are_within_reach(numbers: list[Any], size: Size) -> bool:
    """Whether they are numbers near the image: pycocotools takes a walk along every edge."""
    reach = _reach(size)
    return set(map(type, numbers)) <= {int, float} and all(-reach <= v <= reach for v in numbers)


def _reach(size: Size) -> int:
    return 2 * max(size)


def _fault(needed: str, got: Any, size: Size) -> str:
    shown = str(got[:_SHOWN] if isinstance(got, list | str) else got)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}.."
    return f"{needed}, within {_reach(size)} px; got {shown}"


def polygons(outlines: Sequence[Sequence[float]], size: Size) -> np.ndarray:
    """(H, W) bool, true inside of any of the polygons [x, y, x, y, ..], which have no fault."""
    from pycocotools import mask as runs

    encoded = runs.merge(runs.frPyObjects([list(outline) for outline in outlines], *size))
    return np.asarray(runs.decode(encoded), bool)


def box(x0: float, y0: float, x1: float, y1: float) -> list[float]:
    """The corners of a box as a polygon."""
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def turned(polygon: list[float], centre: tuple[float, float], degrees: float) -> list[float]:
    """The polygon, turned clockwise about a point."""
    cos, sin = _turn(degrees)
    x, y = centre
    points = [(a - x, b - y) for a, b in zip(polygon[::2], polygon[1::2], strict=True)]
    return list(
        chain.from_iterable((a * cos - b * sin + x, a * sin + b * cos + y) for a, b in points)
    )


def disc(centre: tuple[float, float], rim: tuple[float, float], size: Size) -> np.ndarray:
    """(H, W) bool, true inside of the circle about `centre` through the point `rim`."""
    squared = (rim[0] - centre[0]) ** 2 + (rim[1] - centre[1]) ** 2
    drawn, (dx, dy), window = _from_centre(centre, math.sqrt(squared), size)
    drawn[window] = dx**2 + dy**2 <= squared
    return drawn


def ellipse(
    centre: tuple[float, float], radii: tuple[float, float], degrees: float, size: Size
) -> np.ndarray:
    """(H, W) bool, true inside of an ellipse with radii along x and y, turned clockwise."""
    drawn, (dx, dy), window = _from_centre(centre, max(radii), size)
    cos, sin = _turn(degrees)
    dx, dy = dx * cos + dy * sin, dy * cos - dx * sin
    drawn[window] = (dx * radii[1]) ** 2 + (dy * radii[0]) ** 2 <= (radii[0] * radii[1]) ** 2
    return drawn


def _turn(degrees: float) -> tuple[float, float]:
    """Cosine and sine; exact for quarter turns."""
    if degrees % 90 == 0:
        return ((1, 0), (0, 1), (-1, 0), (0, -1))[int(degrees // 90) % 4]
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


def _from_centre(
    centre: tuple[float, float], reach: float, size: Size
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], tuple[slice, slice]]:
    """(H, W) bool of nothing, and how far the centres of pixels near `centre` are, by x and y."""

    def near(middle: float, side: int) -> slice:
        first = min(max(math.floor(middle - reach), 0), side)
        return slice(first, min(max(math.ceil(middle + reach), first), side))

    rows, columns = near(centre[1], size[0]), near(centre[0], size[1])
    dx = np.arange(columns.start, columns.stop)[None, :] + 0.5 - centre[0]
    dy = np.arange(rows.start, rows.stop)[:, None] + 0.5 - centre[1]
    return np.zeros(size, bool), (dx, dy), (rows, columns)


def patch(pixels: np.ndarray, left: int, top: int, size: Size) -> np.ndarray:
    """(H, W) bool, true where the (h, w) patch is, whose first pixel lies at left, top."""
    drawn = np.zeros(size, bool)
    y, x = max(top, 0), max(left, 0)
    inside = pixels[y - top : max(size[0] - top, 0), x - left : max(size[1] - left, 0)]
    drawn[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return drawn


def alternating(lengths: Sequence[int], size: Size) -> np.ndarray:
    """(H, W) bool of run lengths along the rows, outside first; they sum up to H * W."""
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, np.asarray(lengths, np.int64)).reshape(size)


def runs_fault(lengths: Any, size: Size) -> str:
    """Why run lengths do not make an image of that size; "" where they do."""
    numbers = isinstance(lengths, list) and all(type(n) is int and n >= 0 for n in lengths)
    if numbers and sum(lengths) == size[0] * size[1]:
        return ""
    return f"run lengths that do not fill {size[0]} x {size[1]} px"


def flat(points: Any) -> Any:
    """[[x, y], ..] as [x, y, ..]; what is no list of pairs as it is, for `polygon_fault`."""
    if isinstance(points, list) and all(isinstance(p, list) and len(p) == 2 for p in points):
        return list(chain.from_iterable(points))
    return points
