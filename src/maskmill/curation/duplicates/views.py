"""Describe views of an image by 64 numbers each, so that they can be compared.

Views are the whole, windows and turned squares. An image is a 64 px thumbnail, a view of it the
8 x 8 lowest coefficients of its discrete cosine transform: mirroring and quarter turns only change
their signs and order.
"""

from functools import cache

import cv2
import numpy as np

THUMBNAIL_PX = 64
SIDE = 8  # lowest frequencies in each direction
ORIENTATIONS = 8
# share of a side; a window leaves out at most so many steps in x and y together
WINDOW_STEP, WINDOW_STEPS = 0.035, 7
TURN_PX, TURN_STEP_DEGREES = 32, 3
INNER = 0.7  # side of the square that stays inside an image however it is turned

_FREQUENCY = np.hypot(*np.mgrid[:SIDE, :SIDE]).astype(np.float32)
LOWEST = np.argsort(_FREQUENCY.ravel(), kind="stable")[1:]  # without the mean


def downscale_to_grey(pixels: np.ndarray, side: int) -> np.ndarray:
    """Shrink an image to a grey square, each pixel the mean of an area.

    Shape: (H, W, C) uint8 -> (side, side) uint8. Three channels become luma (ITU-R 601).
    """
    if pixels.ndim == 3 and pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    elif pixels.ndim == 3 and pixels.shape[2] > 1:  # OpenCV resizes at most four
        pixels = np.rint(pixels.mean(axis=2, dtype=np.float32)).astype(np.uint8)
    while min(pixels.shape[:2]) >= 4 * side and not (pixels.shape[0] % 2 or pixels.shape[1] % 2):
        # far faster than other shares
        pixels = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    shrinks = min(pixels.shape[:2]) >= side
    return np.asarray(
        cv2.resize(
            pixels, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    )


def frequency_coefficients(patches: np.ndarray) -> np.ndarray:
    """Return the 8 x 8 lowest frequencies of grey patches as vectors of length 1.

    Each coefficient is multiplied by its frequency, so that the mean is left out.
    Shape: (N, P, P) -> (N, 64) float32.
    """
    basis = _cosine_basis(patches.shape[-1], 0, patches.shape[-1])
    return _to_unit_length(basis @ (patches.astype(np.float32)) @ basis.T)


def window_coefficients(thumbnail: np.ndarray) -> np.ndarray:
    """Return the coefficients of every window of `window_maps`, the whole image first.

    Shape: (64, 64) -> (V, 64) float32.
    """
    bases, chosen = _window_bases()
    rows = bases @ (thumbnail.astype(np.float32) - thumbnail.mean())  # (E, 8, 64)
    return _to_unit_length(rows[chosen[:, 0]] @ bases[chosen[:, 1]].transpose(0, 2, 1))


@cache
def window_maps() -> np.ndarray:
    """(V, 3, 3): place in a window -> place in its image, both (x, y) in 0..1."""
    edges, chosen = _window_edges(), _window_bases()[1]
    maps = np.zeros((len(chosen), 3, 3))
    for i, (y, x) in enumerate(chosen):
        maps[i] = [
            [edges[x][1] - edges[x][0], 0, edges[x][0]],
            [0, edges[y][1] - edges[y][0], edges[y][0]],
            [0, 0, 1],
        ]
    return maps


def turn_coefficients(thumbnail: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return the coefficients of the square in the middle for each of `turn_maps`.

    Shape: (64, 64) -> (T, 64) float32.
    """
    return frequency_coefficients(
        np.stack([apply_map(thumbnail, to_image, TURN_PX) for to_image in maps])
    )


@cache
def turn_maps(height: int, width: int) -> np.ndarray:
    """Return the maps from a turned square to an image of this size, the upright one first.

    They are (T, 3, 3) and map places, both 0..1.
    """
    side = INNER * min(height, width)
    square = np.array([[side, 0, -side / 2], [0, side, -side / 2], [0, 0, 1]])
    image = np.array([[1 / width, 0, 0.5], [0, 1 / height, 0.5], [0, 0, 1]])
    angles = np.deg2rad(np.arange(0, 90, TURN_STEP_DEGREES))
    c, s, o = np.cos(angles), np.sin(angles), np.zeros(len(angles))
    turned = np.stack([c, -s, o, s, c, o, o, o, o + 1], axis=-1).reshape(-1, 3, 3)
    return np.asarray(image @ turned @ square)


@cache
def orientation_map(orientation: int) -> np.ndarray:
    """Place in an image in this orientation -> place in the image as it is."""
    swap, flip_y, flip_x = orientation >> 2 & 1, orientation >> 1 & 1, orientation & 1
    flip = np.array([[1 - 2 * flip_x, 0, flip_x], [0, 1 - 2 * flip_y, flip_y], [0, 0, 1]])
    swapped = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]) if swap else np.eye(3)
    turned: np.ndarray = swapped @ flip
    return turned


def apply_map(image: np.ndarray, to_image: np.ndarray, side: int) -> np.ndarray:
    """(H, W) -> (side, side): what the map shows of an image."""
    height, width = image.shape
    inner = np.array([[1 / side, 0, 0.5 / side], [0, 1 / side, 0.5 / side], [0, 0, 1]])
    outer = np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1]])
    move = (outer @ to_image @ inner)[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, move, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT)
    )


def orient_coefficients(coefficients: np.ndarray, orientation: int) -> np.ndarray:
    """(N, 64) of images -> (N, 64) of the same images mirrored and turned."""
    sign = (-1.0) ** np.arange(SIDE, dtype=np.float32)
    grid = coefficients.reshape(-1, SIDE, SIDE)
    if orientation >> 2 & 1:
        grid = grid.transpose(0, 2, 1)
    if orientation >> 1 & 1:
        grid = grid * sign[:, None]
    if orientation & 1:
        grid = grid * sign
    return grid.reshape(-1, SIDE * SIDE)


def _to_unit_length(grid: np.ndarray) -> np.ndarray:
    flat = (grid * _FREQUENCY).reshape(-1, SIDE * SIDE)
    return np.asarray(
        flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32
    )


@cache
def _cosine_basis(pixels: int, start: float, end: float) -> np.ndarray:
    """Return cosines over the interval [start, end] of a row of pixels, (8, pixels).

    They hold no share of its mean, but for the first.
    """
    place = np.arange(pixels)
    low, high = np.clip(start, place, place + 1), np.clip(end, place, place + 1)
    weight = (high - low) / (end - start)
    basis = (
        np.cos(np.pi * np.arange(SIDE)[:, None] * ((low + high) / 2 - start) / (end - start))
        * weight
    )
    basis[1:] -= weight * basis[1:].sum(axis=1, keepdims=True)
    basis[1:] *= np.sqrt(2)
    return np.asarray(basis, np.float32)


@cache
def _window_edges() -> list[tuple[float, float, int]]:
    """Return the start and end of windows along one side, 0..1, the whole side first.

    The third number says how many steps a window leaves out.
    """
    return [
        (left * WINDOW_STEP, 1 - (out - left) * WINDOW_STEP, out)
        for out in range(WINDOW_STEPS + 1)
        for left in range(out + 1)
    ]


@cache
def _window_bases() -> tuple[np.ndarray, np.ndarray]:
    """(E, 8, 64): the cosines of each of `_window_edges`; (V, 2): those of a window in y and x."""
    edges = _window_edges()
    bases = np.stack(
        [_cosine_basis(THUMBNAIL_PX, THUMBNAIL_PX * a, THUMBNAIL_PX * b) for a, b, _ in edges]
    )
    chosen = [
        (y, x)
        for y in range(len(edges))
        for x in range(len(edges))
        if edges[y][2] + edges[x][2] <= WINDOW_STEPS
    ]
    return bases, np.array(chosen)
