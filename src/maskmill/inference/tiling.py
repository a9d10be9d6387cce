"""Predict an image in overlapping tiles, blended so that no seam shows, in bounded memory.

Tiles begin at multiples of the network's coarsest stride, so that its grid lies where it lies in
the whole image. Of what two neighbours share, each gives the half nearer to its own middle; along
the line between, over a quarter of the overlap, one fades into the other by a Hann window, and the
sum of both weights is 1. So each pixel is seen with 3/8 of the overlap around it, at least. Where a
network sees no farther than that, a tile's probabilities are those of the whole image but for
rounding; one with global context (squeeze and excitation, attention) differs by design, since it
sees the tile for the image.

Held in memory are one row of tiles of the image, one tile of probabilities, and of the row above
the lines that fade into this one.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maskmill.images.rows import PixelRows
from maskmill.settings.config import Inference

STRIDE_PX = 32  # coarsest of all networks; tiles begin at its multiples


@dataclass(frozen=True)
class Span:
    """A tile along one axis, in px: the network sees start..stop, and first..last counts."""

    start: int
    stop: int
    first: int
    last: int
    fade_in: int  # of the first pixels that count, shared with the tile before; 0 for none
    fade_out: int

    @property
    def done(self) -> int:
        """Where the pixels end that no later tile changes."""
        return self.last - self.fade_out


@dataclass(frozen=True)
class Block:
    """Finished pixels."""

    y: int
    x: int
    tile: tuple[int, int]  # row and column
    logits: Tensor  # (K, H, W) float32: logarithms of the blended probabilities


def spans(length: int, tile_px: int, overlap_px: int) -> list[Span]:
    """The tiles along an axis of `length` px, of one size but for the last, up to 31 px less."""
    if length <= tile_px:
        return [Span(0, length, 0, length, 0, 0)]
    count = math.ceil((length - overlap_px) / (tile_px - overlap_px))
    step = (length - tile_px) / (count - 1)
    starts = [STRIDE_PX * math.ceil(i * step / STRIDE_PX - 1e-9) for i in range(count)]
    stops = [min(length, start + tile_px) for start in starts]
    fade = overlap_px // 4
    lines = [(start + stop - fade) // 2 for start, stop in zip(starts[1:], stops[:-1], strict=True)]
    firsts, lasts = [0, *lines], [line + fade for line in lines] + [length]
    return [
        Span(starts[i], stops[i], firsts[i], lasts[i], fade * (i > 0), fade * (i < count - 1))
        for i in range(count)
    ]


def grid(height: int, width: int, settings: Inference) -> tuple[list[Span], list[Span]]:
    """The rows and the columns of tiles."""
    tile, overlap = settings.tile_px, settings.overlap_px
    return spans(height, tile, overlap), spans(width, tile, overlap)


def blended_blocks(
    run: Callable[[np.ndarray], Tensor], pixels: PixelRows, settings: Inference, first_row: int = 0
) -> Iterator[Block]:
    """The image block by block, from row `first_row` of the tiles on.

    `run` gives the probabilities of a tile, (h, w, C) uint8 -> (K, h, w) float32 on the CPU. All
    blocks together are each pixel once, and those of a row of tiles are the full width.
    """
    rows, columns = grid(pixels.height, pixels.width, settings)
    above: list[Tensor] = []  # of each column, the lines that fade into the next row
    # the row before it is seen again for these lines
    for i in range(max(0, first_row - 1), len(rows)):
        row, fading = rows[i], []
        strip = pixels.rows(row.start, row.stop)
        for j, part in enumerate(_blend_row(run, strip, row, columns)):
            if row.fade_in and above:
                part[:, : row.fade_in].mul_(_rising(row.fade_in)[:, None]).add_(above[j])
            done = part[:, : row.done - row.first]
            if row.fade_out:
                tail = part[:, row.done - row.first :]
                fading.append(tail * (1 - _rising(row.fade_out)[:, None]))
            if i >= first_row:
                yield Block(row.first, columns[j].first, (i, j), log_of(done))
        above = fading


def _blend_row(
    run: Callable[[np.ndarray], Tensor], strip: np.ndarray, row: Span, columns: list[Span]
) -> Iterator[Tensor]:
    """(K, rows that count, finished columns) of each tile of a row, blended with its left one."""
    left: Tensor | None = None
    counted = slice(row.first - row.start, row.last - row.start)
    for column in columns:
        tile = run(strip[:, column.start : column.stop])
        tile = tile[:, counted, column.first - column.start : column.last - column.start]
        if left is not None:
            tile[..., : column.fade_in].mul_(_rising(column.fade_in)).add_(left)
        if column.fade_out:
            left = tile[..., -column.fade_out :] * (1 - _rising(column.fade_out))
        yield tile[..., : column.done - column.first]


def _rising(length: int) -> Tensor:
    """The rising half of a Hann window; it and its mirror image add up to 1."""
    return torch.sin((torch.arange(length) + 0.5) * (math.pi / 2 / length)) ** 2


def log_of(probabilities: Tensor) -> Tensor:
    """Logarithms in place, all finite."""
    return probabilities.clamp_min_(torch.finfo(torch.float32).tiny).log_()
