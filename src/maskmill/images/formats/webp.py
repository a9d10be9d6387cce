"""WebP, by libwebp."""

import struct
from dataclasses import replace

import numpy as np

from maskmill.images.formats import ifd
from maskmill.images.formats.header import DamageError, Header, Samples, SizeLimits

_ALPHA, _ANIMATED = 0x10, 0x02


def header(content: bytes, limits: SizeLimits) -> Header:
    """Walks all chunks to the end that the file promises."""
    end = 8 + struct.unpack("<I", content[4:8])[0]
    found, animated, orientation, frames, at = None, False, 1, 0, 12
    while at + 8 <= min(end, len(content)):
        name, size = struct.unpack("<4sI", content[at : at + 8])
        body = content[at + 8 : at + 24]
        if name in (b"VP8X", b"VP8 ", b"VP8L"):
            width, height, alpha = _size(name, body)
            limits(width, height, 4)
            if found is None:
                animated = name == b"VP8X" and bool(body[0] & _ANIMATED)
                found = Header("WEBP", width, height, 4 if alpha else 3, colour="rgb", alpha=alpha)
            if name == b"VP8 ":
                found = replace(found, lossy=True)
        elif name == b"EXIF":
            orientation = ifd.orientation(content[at + 8 : at + 8 + size].removeprefix(b"Exif\0\0"))
        frames += name == b"ANMF"
        at += 8 + size + size % 2
    if max(at, end) > len(content):
        raise DamageError(
            f"cut off: its header promises {max(at, end):,} bytes, it has {len(content):,}"
        )
    if found is None:
        raise DamageError("it holds no pixels (no VP8, VP8L or VP8X chunk)")
    return replace(found, orientation=orientation, pages=max(frames, 2) if animated else 1)


def samples(content: bytes, header: Header) -> Samples:
    """RGB or RGBA values."""
    import imagecodecs

    pixels: np.ndarray = imagecodecs.webp_decode(content, hasalpha=header.alpha)
    return pixels, None


def _size(name: bytes, body: bytes) -> tuple[int, int, bool]:
    """Width, height, whether there is alpha."""
    if name == b"VP8X":
        width, height = (1 + int.from_bytes(body[i : i + 3], "little") for i in (4, 7))
        return width, height, bool(body[0] & _ALPHA)
    if name == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), bool(packed >> 28 & 1)
    width, height = struct.unpack("<HH", body[6:10])
    return width & 0x3FFF, height & 0x3FFF, False
