"""Read TIFF of strips or tiles, 1 to 64 bits and any number of bands.

The layout is read here, the codecs are those of imagecodecs. No library reads the layout: Pillow
reduces or refuses what is not 8 bits, and tifffile fills missing strips in silence.
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from maskmill.images.formats import ifd, jpeg
from maskmill.images.formats.header import DamageError, Header, Samples, SizeLimits, UnreadError

_NONE, _FAX4, _JPEG = 1, 4, 7
_CODECS = {5: "lzw", 8: "zlib", 32946: "zlib", 32773: "packbits", 50000: "zstd"}
_WHITE_IS_0, _RGB, _PALETTE, _YCBCR = 0, 2, 3, 6
_COLOURS = {
    0: (1, "grey"),
    1: (1, "grey"),
    2: (3, "rgb"),
    3: (1, "rgb"),
    5: (4, "cmyk"),
    6: (3, "rgb"),
}
_KINDS = {1: "uint", 2: "int", 3: "float"}
_DEPTHS = {1: (1, 2, 4, 8, 10, 12, 14, 16, 32, 64), 2: (8, 16, 32, 64), 3: (16, 32, 64)}
_TILE_PX = 1024  # writers of one tile size use up to this in small images, too
# subfile types of a GeoTIFF's smaller copies and transparency masks: none is a page of its own
_OVERVIEW = 1 | 4
_GEO_KEYS = 34735  # tag of a GeoTIFF
_STRIP_BYTES = 4_000_000  # read at once of a strip without compression


@dataclass(frozen=True)
class TiffLayout:
    """How the pixels of one page lie in the file."""

    width: int
    height: int
    bands: int
    bits: int
    kind: int  # of numbers: uint, int, float
    photometric: int
    compression: int
    predictor: int
    apart: bool  # one plane per band
    segment: tuple[int, int]  # width and height of a strip or tile
    places: tuple[tuple[int, int], ...]  # offset and bytes of each

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """In which the values are given."""
        bits = self.bits if self.bits >= 8 and self.bits % 8 == 0 else 16 if self.bits > 8 else 8
        return np.dtype(f"{_KINDS[self.kind]}{bits}")

    @property
    def grid(self) -> tuple[int, int]:
        """Segments below and beside each other."""
        return math.ceil(self.height / self.segment[1]), math.ceil(self.width / self.segment[0])


def header(content: bytes, limits: SizeLimits, page: int | None = None) -> Header:
    """Read the tags of a page and check that each of its strips or tiles lies in the file.

    `page` is that of a stack, from 0; `pages` of the header is that of the whole file.
    """
    own, page = _pages(content) if page is None else _pages_of_stack(content), page or 0
    if not own:
        raise DamageError("it holds no page")
    if page >= len(own):
        raise UnreadError(
            f"{len(own)} pages; page {page + 1} is asked for; put the whole stack there, or list"
            " the data anew"
        )
    tags = own[page]
    width, height = tags.value(256, 0), tags.value(257, 0)
    limits(width, height, max(1, tags.value(277, 1) * tags.value(258, 1) // 8))
    layout = _layout(tags)
    limits(*layout.segment, max(1, (1 if layout.apart else layout.bands) * layout.bits // 8))
    needed = math.prod(layout.grid) * (layout.bands if layout.apart else 1)
    if len(layout.places) < needed or any(
        not n or at + n > len(content) for at, n in layout.places[:needed]
    ):
        raise DamageError("cut off: strips or tiles are missing")
    base, colour = _COLOURS[layout.photometric]
    extra = tags.values(338)
    alpha = layout.bands == base + 1 and extra in ((1,), (2,))
    return Header(
        "TIFF", width, height, layout.bands, "bool" if layout.bits == 1 else layout.dtype.name,
        ifd.orientation_of(tags), layout.photometric == _PALETTE,
        colour if alpha or layout.bands == base else "bands", alpha, alpha and extra == (1,),
        layout.bits, len(own), layout.compression == _JPEG,
    )  # fmt: skip


def samples(content: bytes, header: Header, page: int | None = None) -> Samples:
    """(H, W) or (H, W, bands) stored values of a page, and its palette's colours."""
    tags = _pages(content)[0] if page is None else _pages_of_stack(content)[page]
    reader = RowReader(content, tags)
    return reader.rows(0, reader.layout.height), reader.colours


def row_reader(content: bytes, page: int) -> "RowReader":
    """A reader of a page, counted from 0, of a file that is mapped into memory."""
    return RowReader(content, _pages(content)[page])


class RowReader:
    """Reads some rows of a page without decoding the others."""

    def __init__(self, content: bytes, tags: ifd.Page) -> None:
        self.content, self._tags = content, tags
        self.layout = _in_thin_strips(_layout(tags))
        self.has_place = _GEO_KEYS in tags.tags  # on the Earth: a GeoTIFF
        self.colours: np.ndarray | None = None
        if self.layout.photometric == _PALETTE:
            table = np.array(tags.values(320), np.uint16).reshape(3, -1).T
            # some writers store 8 bits
            self.colours = (table >> 8 if table.max(initial=0) > 255 else table).astype(np.uint8)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """(rows, W) or (rows, W, bands) stored values of the rows from start to before stop."""
        layout = self.layout
        pixels = np.empty((stop - start, layout.width, layout.bands), layout.dtype)
        for y, x, bands, values in _segments(layout, self.content, self._tags, start, stop):
            above = max(0, start - y)
            target = pixels[
                y + above - start : y + values.shape[0] - start, x : x + values.shape[1], bands
            ]
            target[...] = values[above : above + target.shape[0], : target.shape[1]]
        if layout.photometric == _WHITE_IS_0:
            np.subtract(2**layout.bits - 1, pixels, out=pixels, casting="unsafe")
        return pixels[..., 0] if layout.bands == 1 else pixels


def _in_thin_strips(layout: TiffLayout) -> TiffLayout:
    """A page of one strip without compression as one of many, so that few rows can be read."""
    bands = 1 if layout.apart else layout.bands
    row_bits = layout.width * bands * layout.bits
    whole = layout.segment == (layout.width, layout.height) and layout.compression == _NONE
    if not whole or row_bits % 8 or layout.height * row_bits <= 8 * _STRIP_BYTES:
        return layout
    row_bytes = row_bits // 8
    tall = max(1, _STRIP_BYTES // row_bytes)
    strips = tuple(
        (at + y * row_bytes, min(tall, layout.height - y) * row_bytes)
        for at, _ in layout.places[: layout.bands if layout.apart else 1]
        for y in range(0, layout.height, tall)
    )
    return replace(layout, segment=(layout.width, tall), places=strips)


def _pages(content: bytes) -> list[ifd.Page]:
    """The pages, without the smaller copies and transparency masks of a GeoTIFF."""
    found = ifd.pages(content)
    return [page for page in found if not page.value(254, 0) & _OVERVIEW] or found[:1]


# the images and the masks, whose pages are read in turn: each page would walk the tags of all
_pages_of_stack = lru_cache(maxsize=2)(_pages)


def _layout(page: ifd.Page) -> TiffLayout:
    width, height = page.value(256, 0), page.value(257, 0)
    tiled = 322 in page.tags
    segment = (
        (page.value(322, 0), page.value(323, 0))
        if tiled
        else (width, min(height, page.value(278, height)))
    )
    if min(segment) < 1 or (tiled and (segment[0] % 16 or segment[1] % 16)):
        raise DamageError(f"strips or tiles of {segment[0]} x {segment[1]} px do not exist")
    if any(
        side > max(_TILE_PX, image + -image % 16)
        for side, image in zip(segment, (width, height), strict=True)
    ):
        raise DamageError(
            f"tiles of {segment[0]} x {segment[1]} px in an image of {width} x {height} px; a side"
            f" larger than the image's may have {_TILE_PX} px"
        )
    places = tuple(
        zip(page.values(324 if tiled else 273), page.values(325 if tiled else 279), strict=False)
    )
    layout = TiffLayout(
        width, height, page.value(277, 1), page.value(258, 1), page.value(339, 1),
        page.value(262, -1), page.value(259, _NONE), page.value(317, 1), page.value(284, 1) == 2,
        segment, places,
    )  # fmt: skip
    alike = len(set(page.values(258))) <= 1 and len(set(page.values(339))) <= 1
    reason = _not_read(layout)
    if not alike:
        reason = "bands or bits of several kinds"
    elif (order := page.value(266, 1)) != 1:
        reason = f"fill order {order}"
    if reason:
        raise UnreadError(f"a TIFF of {reason}, which is not read; save it anew, without that")
    return layout


def _not_read(page: TiffLayout) -> str:
    """What this file has that is not read; "" for nothing."""
    base, _ = _COLOURS.get(page.photometric, (page.bands + 1, ""))
    no_bands_beside = page.photometric in (_PALETTE, _YCBCR)
    integers, whole, jpeg_data = (
        page.kind == 1,
        page.bits in (8, 16, 32, 64),
        page.compression == _JPEG,
    )
    values = f"{page.bits} bits of sample format {page.kind}"
    checks = {
        f"photometric interpretation {page.photometric} with {page.bands} bands":
            page.bands >= base and not (no_bands_beside and page.bands > base),
        values: page.bits in _DEPTHS.get(page.kind, ())
            and (integers or page.photometric not in (_WHITE_IS_0, _PALETTE))
            and (page.bits <= 8 or page.photometric != _PALETTE),
        f"compression {page.compression} (read are none, LZW, Deflate, PackBits, Zstandard, JPEG,"
        " CCITT Group 4)":
            page.compression in (_NONE, _FAX4, _JPEG, *_CODECS),
        f"CCITT Group 4 data of {page.bands} bands and {values}":
            page.compression != _FAX4 or (page.bits == 1 and page.bands == 1),
        f"predictor {page.predictor} on {values}":
            page.predictor == 1
            or (page.predictor == 2 and whole)
            or (page.predictor == 3 and page.kind == 3),
        "YCbCr colours without JPEG": page.photometric != _YCBCR or jpeg_data,
        f"JPEG data of {page.bands} bands and {values}":
            not jpeg_data
            or (page.bits == 8 and integers and page.bands == base and not page.apart),
    }  # fmt: skip
    return next((what for what, holds in checks.items() if not holds), "")


def _segments(
    layout: TiffLayout, content: bytes, page: ifd.Page, start: int, stop: int
) -> Iterator[tuple[int, int, slice, np.ndarray]]:
    """(y, x, bands, values (rows, width, bands)) of each strip or tile with some of the rows."""
    rows, columns = layout.grid
    tables = bytes(page.values(347)) or None
    for i in range(rows * columns * (layout.bands if layout.apart else 1)):
        plane, within = divmod(i, rows * columns)
        y, x = within // columns * layout.segment[1], within % columns * layout.segment[0]
        if y >= stop or y + layout.segment[1] <= start:
            continue
        bands = slice(plane, plane + 1) if layout.apart else slice(None)
        at, size = layout.places[i]
        tall = layout.segment[1] if 322 in page.tags else min(layout.segment[1], layout.height - y)
        raw = content[at : at + size]
        try:
            if layout.compression == _JPEG:
                yield y, x, bands, _jpeg(layout, raw, tall, tables)
            elif layout.compression == _FAX4:
                yield y, x, bands, _fax4(layout, raw, tall)
            else:
                yield y, x, bands, _values(layout, raw, tall, page.order)
        except RuntimeError as error:  # of imagecodecs
            raise DamageError(f"strip or tile {i}: {error}") from None


def _values(layout: TiffLayout, raw: bytes, rows: int, order: str) -> np.ndarray:
    import imagecodecs

    bands = 1 if layout.apart else layout.bands
    row_bytes = math.ceil(layout.segment[0] * bands * layout.bits / 8)
    if layout.compression != _NONE:
        decode = getattr(imagecodecs, f"{_CODECS[layout.compression]}_decode")
        raw = decode(raw, out=row_bytes * layout.segment[1])
    if len(raw) < row_bytes * rows:
        raise DamageError(
            f"cut off: a strip or tile holds {len(raw):,} of {row_bytes * rows:,} bytes"
        )
    raw, shape = raw[: row_bytes * rows], (rows, layout.segment[0], bands)
    if layout.bits not in (8, 16, 32, 64):
        packed: np.ndarray = imagecodecs.packints_decode(
            raw, layout.dtype, layout.bits, runlen=shape[1] * bands
        )
        return packed.reshape(shape)
    if layout.predictor == 3:
        floats: np.ndarray = imagecodecs.floatpred_decode(
            np.frombuffer(raw, layout.dtype).reshape(shape), axis=-2
        )
        return floats
    values = (
        np.frombuffer(raw, layout.dtype.newbyteorder(order)).reshape(shape).astype(layout.dtype)  # type: ignore[arg-type]
    )
    if layout.predictor == 2:
        imagecodecs.delta_decode(values, axis=-2, out=values)
    return values


def _fax4(layout: TiffLayout, raw: bytes, rows: int) -> np.ndarray:
    """ITU-T T.6, "Group 4": 1 bit a pixel.

    The decoder makes up what is missing. So the pixels are packed again, which every writer does
    in the same way, and must give the same bytes.
    """
    import imagecodecs

    values: np.ndarray = imagecodecs.ccittfax4_decode(raw, rows, layout.segment[0])
    if values.shape != (rows, layout.segment[0]) or _packed(values) != raw.rstrip(b"\0"):
        raise DamageError(
            "cut off or damaged: its CCITT Group 4 data are not those of its pixels; if the file is"
            " whole, save it with another compression"
        )
    return values[..., None].astype(layout.dtype)


def _packed(values: np.ndarray) -> bytes:
    """(H, W) 0 and 1 as data of Group 4, by libtiff, without the zeros at their end."""
    file = io.BytesIO()
    rows_of_strip = {278: len(values)}
    picture = Image.fromarray(values.astype(np.bool_))
    picture.save(file, "TIFF", compression="group4", tiffinfo=rows_of_strip)
    content = file.getvalue()
    (tags,) = ifd.pages(content)
    at, size = tags.value(273, 0), tags.value(279, 0)
    return content[at : at + size].rstrip(b"\0")


def _jpeg(layout: TiffLayout, raw: bytes, rows: int, tables: bytes | None) -> np.ndarray:
    import imagecodecs

    found = jpeg.header(raw, lambda *_: None)
    if (found.width, found.bands) != (
        layout.segment[0],
        layout.bands,
    ) or not rows <= found.height <= layout.segment[1]:
        raise DamageError(f"a strip or tile of {found.width} x {found.height} px does not fit")
    colours = {_RGB: (_RGB, _RGB), _YCBCR: (None, _RGB)}.get(layout.photometric, (None, None))
    values: np.ndarray = imagecodecs.jpeg8_decode(
        raw, tables=tables, colorspace=colours[0], outcolorspace=colours[1]
    )
    return values.reshape(found.height, found.width, layout.bands)[:rows]
