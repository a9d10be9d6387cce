"""Read uncompressed BMP: 24 bits as they lie in the file, other depths by Pillow.

Pillow takes four times the memory for 24 bits.
"""

import io
import struct

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile

from maskmill.images.formats.header import DamageError, Header, Samples, SizeLimits, UnreadError

_RGB, _BITFIELDS = 0, 3
_TRUE_COLOUR = 24


def header(content: bytes, limits: SizeLimits) -> Header:
    """Reads the header and counts the rows."""
    start, size = struct.unpack("<II", content[10:18])
    compression = _RGB
    if size == 12:
        width, height, _, bits = struct.unpack("<HHHH", content[18:26])
    else:
        width, height, _, bits, compression = struct.unpack("<iiHHI", content[18:34])
    if compression not in (_RGB, _BITFIELDS) or bits not in (1, 4, 8, 16, 24, 32):
        raise UnreadError(
            f"a BMP of {bits} bits and compression {compression}; only uncompressed ones are read;"
            " save it as PNG"
        )
    limits(width, abs(height), max(1, bits // 8))
    if len(content) < start + (width * bits + 31) // 32 * 4 * abs(height):
        raise DamageError("cut off: rows are missing")
    alpha = bits == 32 and compression == _BITFIELDS and size >= 56 and any(content[66:70])
    bands = 1 if bits <= 8 else 4 if alpha else 3
    return Header(
        "BMP",
        width,
        abs(height),
        bands,
        palette=bits <= 8,
        colour="rgb",
        alpha=alpha,
        pixels_at=start,
    )


def samples(content: bytes, header: Header) -> Samples:
    """RGB or RGBA values, or indices and the palette's colours."""
    if _bits(content) == _TRUE_COLOUR:
        return _true_colour(content, header), None
    picture = BmpImageFile(io.BytesIO(content))
    picture.load()
    pixels = np.array(picture, np.uint8)
    if not header.palette:
        return pixels, None
    if picture.mode in ("1", "L"):  # Pillow's names for a palette from black to white in even steps
        grey = np.array([0, 255]) if picture.mode == "1" else np.arange(256)
        return pixels, np.repeat(grey.astype(np.uint8)[:, None], 3, axis=1)
    return pixels, np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)


def _bits(content: bytes) -> int:
    old = content[14] == 12  # the header of OS/2
    bits: int = struct.unpack_from("<H", content, 24 if old else 28)[0]
    return bits


def _true_colour(content: bytes, header: Header) -> np.ndarray:
    stride = (header.width * _TRUE_COLOUR + 31) // 32 * 4
    rows = np.frombuffer(content, np.uint8, stride * header.height, header.pixels_at).reshape(
        header.height, stride
    )
    # stored as BGR
    pixels = rows[:, : 3 * header.width].reshape(header.height, header.width, 3)[..., ::-1]
    top_down = content[14] != 12 and struct.unpack_from("<i", content, 22)[0] < 0
    return np.ascontiguousarray(pixels if top_down else pixels[::-1])
