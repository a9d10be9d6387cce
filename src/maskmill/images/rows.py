"""Images as rows of pixels: in memory, or in a file that may be larger than memory.

A TIFF of strips or tiles is decoded row by row as it is asked for, by the code and the policy of
`decode`, so that the pixels are the same. Other formats, and small files, are decoded as a whole.
"""

import mmap
import struct
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from maskmill.images import decode, formats, pixels, policy
from maskmill.images.decode import DecodeError, escape_name
from maskmill.images.formats import tiff
from maskmill.images.formats.header import DamageError, Header
from maskmill.settings.config import Decoding

_WHOLE_PX = 4_000_000  # a file of no more is decoded as a whole


class PixelRows(Protocol):
    """An image whose rows are read in part."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def has_place(self) -> bool:
        """Whether it has a place on the Earth: a GeoTIFF."""

    def rows(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, W, C) uint8."""


class ArrayRows:
    """An image in memory. Shape: (H, W, C) uint8."""

    def __init__(self, image: np.ndarray, *, has_place: bool = False) -> None:
        self.image, self.has_place = image, has_place
        self.height, self.width = image.shape[:2]

    def rows(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, W, C) uint8."""
        return self.image[start:stop]


class TiffRows:
    """A page of a TIFF file, decoded where it is asked for; rows asked for twice are kept."""

    def __init__(
        self, reader: tiff.RowReader, header: Header, channels: int, decoding: Decoding, name: str
    ) -> None:
        self._reader, self._header = reader, header
        self._channels, self._decoding, self._name = channels, decoding, name
        self.height, self.width, self.has_place = header.height, header.width, reader.has_place
        self._kept, self._kept_from = np.empty((0, self.width, channels), np.uint8), 0

    def rows(self, start: int, stop: int) -> np.ndarray:
        """(stop - start, W, C) uint8. Raises: DecodeError where the file is damaged."""
        kept_to = self._kept_from + len(self._kept)
        if self._kept_from <= start and stop <= kept_to:
            return self._kept[start - self._kept_from : stop - self._kept_from]
        if self._kept_from <= start < kept_to <= stop:
            parts = [self._kept[start - self._kept_from :], self._decode(kept_to, stop)]
            self._kept = np.concatenate(parts)
        else:
            self._kept = self._decode(start, stop)
        self._kept_from = start
        return self._kept

    def _decode(self, start: int, stop: int) -> np.ndarray:
        if start == stop:
            return np.empty((0, self.width, self._channels), np.uint8)
        try:
            stored = self._reader.rows(start, stop)
            let_go(self._reader.content)
            colours, channels = self._reader.colours, self._channels
            return pixels.to_8_bit(stored, colours, self._header, channels, self._decoding)
        except MemoryError:
            raise
        except Exception as error:
            # a damaged file makes decoders raise TypeError, KeyError, RuntimeError and others
            reason = escape_name(" ".join(str(error).split()))
            raise DecodeError(f"{self._name}: rows {start} to {stop}: {reason}") from None


def open_rows(
    path: Path, channels: int, decoding: Decoding, page: int | None = None
) -> ArrayRows | TiffRows:
    """Open an image file, or a page of a stack, counted from 0, as rows.

    The limits of `decoding` on pixels, sides and bytes hold for what is decoded as a whole, and for
    each strip or tile of a TIFF.

    Raises: DecodeError for what is no such image, or is refused by the policy.
    """
    name = escape_name(str(path))
    mapped = _map(path)
    if mapped is None or formats.recognise(mapped[:16])[0] != "TIFF":
        return ArrayRows(decode.image(path, channels, decoding, page=page))
    try:
        header = tiff.header(mapped, lambda *_: None, page or 0)
        reader = tiff.row_reader(mapped, page or 0)
    except (ValueError, struct.error, IndexError, OverflowError):
        # `decode` says what it is
        return ArrayRows(decode.image(path, channels, decoding, page=page))
    turned = decoding.exif == "upright" and header.orientation != 1
    small = header.width * header.height <= _WHOLE_PX
    if small or turned or (page is None and header.pages > 1):
        image = decode.image(path, channels, decoding, page=page)
        return ArrayRows(image, has_place=reader.has_place)
    if reason := policy.image_refused(header, channels, decoding):
        raise DecodeError(f"{name}: {reason}")
    across, down = reader.layout.segment
    if across * down > decoding.max_pixels:
        raise DecodeError(
            f"{name}: a strip or tile of {across} x {down} px, which are decoded at once; at most"
            f" {decoding.max_pixels:,} px are ({policy.WHERE}.max_pixels); save it in tiles"
        )
    return TiffRows(reader, header, channels, decoding, name)


def count_pages(path: Path) -> int:
    """The pages of a TIFF, without the smaller copies of a GeoTIFF; 1 of every other file."""
    mapped = _map(path)
    if mapped is None or formats.recognise(mapped[:16])[0] != "TIFF":
        return 1
    try:
        return tiff.header(mapped, lambda *_: None).pages
    except (DamageError, ValueError, struct.error, IndexError, OverflowError):
        return 1  # `open_rows` says what it is


def let_go(mapped: object) -> None:
    """Give the pages of a file that is mapped into memory back to the system; none is lost."""
    if isinstance(mapped, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def _map(path: Path) -> bytes | None:
    """The bytes of a regular file, mapped into memory; None for what is none, or is empty."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return cast(bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
