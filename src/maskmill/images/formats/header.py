"""What every format says of its pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# width, height, bytes per pixel; raises where they are too much
SizeLimits = Callable[[int, int, int], None]
# (H, W) or (H, W, bands); a palette's colours (N, 3 or 4) uint8
Samples = tuple[np.ndarray, np.ndarray | None]


class DamageError(ValueError):
    """The file is cut off or damaged, or its pixels cannot be what they should be.

    The message lacks the name of the file, which `decode` adds.
    """


class UnreadError(DamageError):
    """The file is of a kind that is not read, and may be whole; the message says what to do."""


@dataclass(frozen=True)
class Header:
    """A file's own description of its pixels."""

    format: str
    width: int
    height: int
    bands: int  # stored values per pixel, alpha included
    dtype: str = "uint8"
    orientation: int = 1  # EXIF, 1..8
    palette: bool = False
    colour: str = "grey"  # grey, rgb, cmyk, or bands (of a TIFF, without a colour of their own)
    alpha: bool = False
    premultiplied: bool = False  # the colours are weighted by their alpha already
    bits: int = 8  # of one stored value
    pages: int = 1
    lossy: bool = False
    scans: int = 1  # of a JPEG
    pixels_at: int = 0  # where the values of an .npy or BMP file begin, and the data of a JPEG end
