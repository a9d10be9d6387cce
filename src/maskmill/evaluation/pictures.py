"""Pictures of images, masks and errors, as arrays and PNG bytes."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskmill.data import decode

if TYPE_CHECKING:
    from maskmill.data.augmentation import Recipe
    from maskmill.data.shards import Shard

Palette = Sequence[tuple[int, int, int]]  # RGB of each class id

_ALPHA = 0.45  # opacity of a mask over its image
_TILE_PX, _GAP_PX = 192, 4
_IGNORED, _WRONG, _RIGHT = (128, 128, 128), (213, 94, 0), (235, 235, 235)  # orange: safe for colour-blind readers


def colour(mask: np.ndarray, palette: Palette) -> np.ndarray:
    """(H, W) ids -> (H, W, 3) uint8 RGB; ids outside the classes are grey."""
    table = np.full((256, 3), _IGNORED, dtype=np.uint8)
    table[: len(palette)] = palette
    coloured: np.ndarray = table[mask]
    return coloured


def overlay(image: np.ndarray, mask: np.ndarray, palette: Palette, background: int | None) -> np.ndarray:
    """The mask's colours over the image, the background left clear: (H, W, C) and (H, W) uint8 -> (H, W, 3) uint8."""
    base = rgb(image)
    mixed = np.rint((1 - _ALPHA) * base + _ALPHA * colour(mask, palette)).astype(np.uint8)
    return mixed if background is None else np.where((mask == background)[..., None], base, mixed)


def errors(predicted: np.ndarray, truth: np.ndarray, ignore_index: int) -> np.ndarray:
    """(H, W, 3) uint8: wrong pixels orange, right ones light, ignored ones grey."""
    out = np.full((*truth.shape, 3), _RIGHT, dtype=np.uint8)
    out[predicted != truth] = _WRONG
    out[truth == ignore_index] = _IGNORED
    return out


def rgb(image: np.ndarray) -> np.ndarray:
    """(H, W, 1 or 3) uint8 -> (H, W, 3) uint8."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else np.asarray(image)


def augmentation_sheet(shard: "Shard", recipe: "Recipe", palette: Palette, pairs: int) -> np.ndarray:
    """A row per pair: the original image and mask, then four draws of the recipe, each image above its mask."""
    rows = []
    for i in np.linspace(0, len(shard) - 1, min(pairs, len(shard))).astype(int).tolist():
        image, mask = shard[i]
        drawn = [(image, mask), *(recipe(image, mask, (0, epoch, i)) for epoch in range(4))]
        rows.append(_row([rgb(x) for x, _ in drawn]))
        rows.append(_row([colour(y, palette) for _, y in drawn]))
    return np.concatenate(rows)


def data_uri(pixels: np.ndarray) -> str:
    """A picture as text that stands in a page by itself."""
    return "data:image/png;base64," + base64.b64encode(decode.png_bytes(pixels)).decode()


def _row(tiles: Sequence[np.ndarray]) -> np.ndarray:
    scaled = [_tile(tile) for tile in tiles]
    return np.concatenate(scaled, axis=1)


def _tile(picture: np.ndarray) -> np.ndarray:
    scale = _TILE_PX / max(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
    out = np.full((_TILE_PX + _GAP_PX, _TILE_PX + _GAP_PX, 3), 255, dtype=np.uint8)
    out[: small.shape[0], : small.shape[1]] = small
    return out
