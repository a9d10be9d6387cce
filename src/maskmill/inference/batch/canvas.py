"""Where the pixels of one prediction are gathered: in memory, or in files for a large image."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from maskmill.images import rows
from maskmill.images.rows import PixelRows
from maskmill.inference.confidence import confidence_map
from maskmill.inference.predict import Predictor, mask_of
from maskmill.inference.tiling import Block, grid

_PREVIEW_PX = 2048  # longest side of the picture of a large image
_ROWS = 1024  # gone through at once


class Canvas:
    """Mask, confidence and a picture of the image, each mapped from a file where it is large.

    The files lie in `workplace`, and a later process goes on with them.
    """

    def __init__(
        self, pixels: PixelRows, channels: int, *, with_confidence: bool, workplace: Path | None
    ) -> None:
        self._place = workplace
        size = (pixels.height, pixels.width)
        # one pixel of so many is shown of a large image, which no viewer opens as a whole
        self.step = 1 if workplace is None else -(-max(size) // _PREVIEW_PX)
        small = (-(-size[0] // self.step), -(-size[1] // self.step))
        self.is_new = workplace is None or not (workplace / "mask").exists()
        self.mask = self._array("mask", size)
        self.confidence = self._array("confidence", size) if with_confidence else None
        self.preview = self._array("preview", (*small, channels))

    def add(self, block: Block, kind: str) -> None:
        """The mask of a block, and its confidence of that kind."""
        height, width = block.logits.shape[1:]
        place = (slice(block.y, block.y + height), slice(block.x, block.x + width))
        self.mask[place] = mask_of(block.logits)
        if self.confidence is not None:
            self.confidence[place] = confidence_map(block.logits, kind)

    def show(self, pixels: PixelRows, start: int, stop: int) -> None:
        """The image's own rows in the picture."""
        first = -(-start // self.step)
        shown = pixels.rows(start, stop)[first * self.step - start :: self.step, :: self.step]
        self.preview[first : first + len(shown)] = shown

    def save(self) -> None:
        """Have all pixels on the disk, where they are in files."""
        for array in (self.mask, self.confidence, self.preview):
            if isinstance(array, np.memmap):
                array.flush()
                rows.let_go(array.base)

    def shares(self, classes: int) -> list[float]:
        """The share of each class in the mask."""
        counts = np.zeros(256, np.int64)
        for part in parts_of(self.mask):
            counts += np.bincount(part.ravel(), minlength=256)
        return [float(share) for share in counts[:classes] / counts.sum()]

    def preview_mask(self) -> np.ndarray:
        """The mask at the size of the picture."""
        small = np.empty(self.preview.shape[:2], np.uint8)
        at_once = max(1, _ROWS // self.step)
        for start in range(0, len(small), at_once):
            stop = min(len(small), start + at_once)
            rows_shown = slice(start * self.step, stop * self.step, self.step)
            small[start:stop] = self.mask[rows_shown, :: self.step]
            if isinstance(self.mask, np.memmap):
                rows.let_go(self.mask.base)
        return small

    def close(self) -> None:
        """Let go of the files and remove them."""
        if self._place is not None:
            shutil.rmtree(self._place, ignore_errors=True)

    def _array(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        if self._place is None:
            return np.empty(shape, np.uint8)
        self._place.mkdir(parents=True, exist_ok=True)
        path = self._place / name
        if not path.exists():
            with path.open("wb") as file:
                # where the disk is full it is said here, not by a SIGBUS
                os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)))
        return np.memmap(path, np.uint8, "r+", shape=shape)


def fill(
    canvas: Canvas,
    predictor: Predictor,
    pixels: PixelRows,
    kind: str,
    first_row: int,
    note: Callable[[list[dict[str, int]]], None],
) -> None:
    """Predict the rows of tiles from `first_row` on; `note` gets the tiles of each saved row."""
    if not predictor.is_tiled(pixels):
        canvas.add(next(predictor.blocks(pixels)), kind)
        canvas.show(pixels, 0, pixels.height)
        return
    down, across = grid(pixels.height, pixels.width, predictor.settings)
    tiles: list[dict[str, int]] = []
    for block in predictor.blocks(pixels, first_row):
        canvas.add(block, kind)
        row, column = block.tile
        height, width = block.logits.shape[1:]
        tile = {"row": row, "column": column, "y": block.y, "x": block.x}
        tiles.append(tile | {"height": height, "width": width})
        if column == len(across) - 1:
            canvas.show(pixels, down[row].first, down[row].done)
            canvas.save()
            note(tiles)
            tiles = []


def parts_of(array: np.ndarray) -> Iterator[np.ndarray]:
    """The array from the top, some rows at a time."""
    for start in range(0, len(array), _ROWS):
        yield array[start : start + _ROWS]
        if isinstance(array, np.memmap):
            rows.let_go(array.base)
