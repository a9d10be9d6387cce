"""Pictures of images, masks and errors, as arrays and PNG bytes."""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskmill.images import decode

if TYPE_CHECKING:
    from maskmill.samples.augmentation import Recipe
    from maskmill.samples.shards import Shard

Palette = Sequence[tuple[int, int, int]]  # RGB of each class id

_ALPHA = 0.45  # opacity of a mask over its image
_TILE_PX, _GAP_PX, _LABEL_PX, _HEADING_PX = 192, 4, 210, 26
_DRAWS = 4  # of the recipe, beside a pair as it is stored
# orange: safe for colour-blind readers
_IGNORED, _WRONG, _RIGHT = (128, 128, 128), (213, 94, 0), (235, 235, 235)


def colour_mask(mask: np.ndarray, palette: Palette) -> np.ndarray:
    """(H, W) ids -> (H, W, 3) uint8 RGB; ids outside the classes are grey."""
    table = np.full((256, 3), _IGNORED, dtype=np.uint8)
    table[: len(palette)] = palette
    coloured: np.ndarray = table[mask]
    return coloured


def overlay(
    image: np.ndarray, mask: np.ndarray, palette: Palette, background: int | None
) -> np.ndarray:
    """The mask's colours over the image, the background left clear.

    Shape: (H, W, C) and (H, W) uint8 -> (H, W, 3) uint8.
    """
    base = to_rgb(image)
    mixed = np.rint((1 - _ALPHA) * base + _ALPHA * colour_mask(mask, palette)).astype(np.uint8)
    return mixed if background is None else np.where((mask == background)[..., None], base, mixed)


def error_map(predicted: np.ndarray, truth: np.ndarray, ignore_index: int) -> np.ndarray:
    """(H, W, 3) uint8: wrong pixels orange, right ones light, ignored ones grey."""
    out = np.full((*truth.shape, 3), _RIGHT, dtype=np.uint8)
    out[predicted != truth] = _WRONG
    out[truth == ignore_index] = _IGNORED
    return out


def to_rgb(image: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8 -> (H, W, 3) uint8, for display.

    Colour stays as it is; else the first band is shown as grey, or the first three of many.
    """
    return (
        np.repeat(image[..., :1], 3, axis=2) if image.shape[2] < 3 else np.asarray(image[..., :3])
    )


def augmentation_sheet(
    shard: "Shard", recipe: "Recipe", parts: Mapping[str, "Recipe"], palette: Palette, pairs: int
) -> np.ndarray:
    """The sheet of a recipe: two rows per pair (image and mask), then a row per transform.

    The rows of a pair show it as stored, then four draws; a transform is shown by itself.

    `parts`: the transforms of the recipe by the place where they are set, drawn every time.
    """
    places = np.linspace(0, len(shard) - 1, min(pairs, len(shard))).astype(int).tolist()
    rows = [_heading("", ["as stored", *(f"draw {i + 1}" for i in range(_DRAWS))])]
    for i in places:
        drawn = _draws(shard, recipe, i)
        rows.append(_row(shard.ids[i], [to_rgb(x) for x, _ in drawn]))
        rows.append(_row("its mask", [colour_mask(y, palette) for _, y in drawn]))
    if parts:
        rows.append(_heading("by itself:", [""] * (_DRAWS + 1)))
    for where, part in parts.items():
        drawn = _draws(shard, part, places[0])
        rows.append(
            _row(where.rpartition(".")[2], [overlay(x, y, palette, None) for x, y in drawn])
        )
    return np.concatenate(rows)


def _draws(shard: "Shard", recipe: "Recipe", i: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [shard[i], *(recipe(*shard[i], (0, epoch, i)) for epoch in range(_DRAWS))]


def data_uri(pixels: np.ndarray) -> str:
    """A picture as text that stands in a page by itself."""
    return "data:image/png;base64," + base64.b64encode(decode.png_bytes(pixels)).decode()


def photo_uri(pixels: np.ndarray) -> str:
    """A picture as text, compressed as a photograph: a tenth of `data_uri`, not exact."""
    _, coded = cv2.imencode(
        ".webp", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, 85]
    )
    return "data:image/webp;base64," + base64.b64encode(coded.tobytes()).decode()


def shrink_to_fit(picture: np.ndarray, longest_px: int, *, ids: bool = False) -> np.ndarray:
    """The picture with its longest side at most `longest_px`; `ids`: without new colours."""
    longest = max(picture.shape[:2])
    if longest <= longest_px:
        return picture
    size = (
        max(1, picture.shape[1] * longest_px // longest),
        max(1, picture.shape[0] * longest_px // longest),
    )
    small: np.ndarray = cv2.resize(
        picture, size, interpolation=cv2.INTER_NEAREST if ids else cv2.INTER_AREA
    )
    return small


def _row(name: str, tiles: Sequence[np.ndarray]) -> np.ndarray:
    scaled = [_scale(tile) for tile in tiles]
    height = max(tile.shape[0] for tile in scaled) + _GAP_PX
    return np.concatenate(
        [_text(name, _LABEL_PX, height), *(_tile(tile, height) for tile in scaled)], axis=1
    )


def _heading(name: str, columns: Sequence[str]) -> np.ndarray:
    texts = [_text(text, _TILE_PX + _GAP_PX, _HEADING_PX) for text in columns]
    return np.concatenate([_text(name, _LABEL_PX, _HEADING_PX), *texts], axis=1)


def _text(text: str, width: int, height: int) -> np.ndarray:
    """Black on white, broken where it does not fit; what the font lacks is a question mark."""
    out = np.full((height, width, 3), 255, dtype=np.uint8)
    characters = max(1, width // 8 - 1)
    lines = [text[i : i + characters] for i in range(0, len(text), characters)]
    for number, line in enumerate(lines):
        plain = line.encode("ascii", "replace").decode()
        cv2.putText(
            out,
            plain,
            (6, 18 + 18 * number),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45,
            (27, 31, 36),
            1,
            cv2.LINE_AA,
        )
    return out


def _scale(picture: np.ndarray) -> np.ndarray:
    scale = _TILE_PX / max(picture.shape[:2])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    scaled: np.ndarray = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
    return scaled


def _tile(picture: np.ndarray, height: int) -> np.ndarray:
    out = np.full((height, _TILE_PX + _GAP_PX, 3), 255, dtype=np.uint8)
    out[: picture.shape[0], : picture.shape[1]] = picture
    return out
