"""JPEG, by libjpeg in Pillow; with proof that no data were missing, of which libjpeg only warns.

A JPEG says nowhere how many bytes its pixels take, and libjpeg fills what is missing with grey.
Pillow's decoder stops and waits where data run out before the EOI marker: so it is given the data
without that marker, and a few zeros for it to read ahead. A progressive file needs its EOI: it is
decoded with and without bytes before it, which change the pixels only where they were needed.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from maskmill.images.formats import ifd
from maskmill.images.formats.header import DamageError, Header, Samples, SizeLimits, UnreadError

# in the data of a scan FF00 is a value, FFD0..7 a restart
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_READ = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, with Huffman codes
_AHEAD = bytes(8)
_FILLER = bytes(range(1, 65))
_LARGE_PX = 16_000_000  # Pillow keeps 4 bytes per pixel beside the array


def header(content: bytes, limits: SizeLimits) -> Header:
    """Walks all segments to the EOI marker."""
    found, scans, orientation = None, _Scans(), 1
    for marker, at, body in segments(content):
        if marker in _FRAMES:
            if found is not None:
                raise DamageError("it holds two frames")
            if marker not in _READ:
                raise UnreadError(
                    f"a JPEG of the kind SOF{marker - 0xC0}; read are baseline and progressive"
                    " ones; save it anew as one of them"
                )
            found = _described(body)
            limits(found.width, found.height, found.bands)
        elif marker == 0xE1 and body[:6] == b"Exif\0\0":
            orientation = ifd.orientation(body[6:])
        elif marker == 0xDA:
            scans.add(body)
        elif marker == 0xD9:
            if found is None or not scans.complete(found.bands):
                raise DamageError("cut off: scans are missing before its end")
            return replace(found, orientation=orientation, scans=scans.count, pixels_at=at)
    raise DamageError("cut off: it has no end (EOI marker)")


def samples(content: bytes, header: Header) -> Samples:
    """Grey, RGB or CMYK values."""
    data, end = content[: header.pixels_at], content[header.pixels_at : header.pixels_at + 2]
    if header.scans == 1 and header.width * header.height <= _LARGE_PX:
        return _pillow(data + _AHEAD), None
    decoder = _pillow if header.colour == "cmyk" else _libjpeg
    filled = zlib.crc32(decoder(data + _FILLER + end).data)
    pixels = decoder(data + end)
    if zlib.crc32(pixels.data) != filled:
        raise DamageError("cut off: the data end before the pixels do")
    return pixels, None


def segments(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(marker, place, content) of each segment up to EOI; the data of scans are passed over."""
    at = 2
    while found := _MARKER.search(content, at):
        at, marker = found.start(), content[found.start() + 1]
        if marker == 0xD9:
            yield marker, at, b""
            return
        (size,) = struct.unpack(">H", content[at + 2 : at + 4])
        if size < 2 or at + 2 + size > len(content):
            raise DamageError(f"cut off in segment FF{marker:02X} at byte {at:,}")
        yield marker, at, content[at + 4 : at + 2 + size]
        at += 2 + size


def _described(body: bytes) -> Header:
    bits, height, width, bands = struct.unpack(">BHHB", body[:6])
    if bits != 8 or bands not in (1, 3, 4):
        raise UnreadError(
            f"a JPEG of {bands} components of {bits} bits; read are 1, 3 or 4 of 8 bits; save it as"
            " one of them, or as PNG or TIFF"
        )
    return Header(
        "JPEG", width, height, bands, colour={1: "grey", 3: "rgb", 4: "cmyk"}[bands], lossy=True
    )


def _pillow(content: bytes) -> np.ndarray:
    # not Image.open, whose own limit of pixels is one for all programs
    picture = JpegImageFile(io.BytesIO(content))
    picture.load()
    return np.asarray(picture)


def _libjpeg(content: bytes) -> np.ndarray:
    """As by Pillow, without its second copy."""
    import imagecodecs

    pixels: np.ndarray = imagecodecs.jpeg8_decode(content)
    return pixels


class _Scans:
    """Which coefficients have come: a progressive JPEG refines them scan by scan."""

    def __init__(self) -> None:
        self.count = 0
        # component -> bits still missing in each of its 64 coefficients
        self._missing: dict[int, np.ndarray] = {}

    def add(self, body: bytes) -> None:
        if not body or len(body) != 4 + 2 * body[0]:
            raise DamageError("the header of a scan has another length than it needs")
        self.count += 1
        first, last, approximation = body[-3:]
        for component in body[1 : 1 + 2 * body[0] : 2]:
            missing = self._missing.setdefault(component, np.full(64, 99, np.uint8))
            missing[first : last + 1] = approximation & 15

    def complete(self, components: int) -> bool:
        return len(self._missing) == components and not any(
            bits.any() for bits in self._missing.values()
        )
