"""GIF: the first frame, by Pillow."""

import io
import struct

import numpy as np
from PIL.GifImagePlugin import GifImageFile

from maskmill.images.formats.header import DamageError, Header, Samples, SizeLimits, UnreadError

_EXTENSION, _FRAME, _END, _CONTROL = 0x21, 0x2C, 0x3B, 0xF9


def header(content: bytes, limits: SizeLimits) -> Header:
    """Walks all blocks of all frames to the end."""
    width, height, packed = struct.unpack("<HHB", content[6:11])
    limits(width, height, 1)
    at, pages, transparent = 13 + _table_bytes(packed), 0, False
    while (block := content[at]) != _END:
        if block == _EXTENSION:
            transparent |= pages == 0 and content[at + 1] == _CONTROL and bool(content[at + 3] & 1)
            at += 2
        elif block == _FRAME:
            frame = struct.unpack("<HHHH", content[at + 1 : at + 9])
            if pages == 0 and frame != (0, 0, width, height):
                raise UnreadError(
                    f"its first frame covers {frame[2]} x {frame[3]} of {width} x {height} px;"
                    " allowed is one that covers all; save it as PNG"
                )
            at += 11 + _table_bytes(content[at + 9])
            pages += 1
        else:
            raise DamageError(f"block {block:02X} at byte {at:,} does not exist")
        while content[at]:  # parts of up to 255 bytes each, ended by one of none
            at += 1 + content[at]
        at += 1
    if not pages:
        raise DamageError("it holds no pixels (no frame)")
    return Header(
        "GIF", width, height, 1, palette=True, colour="rgb", alpha=transparent, pages=pages
    )


def samples(content: bytes, header: Header) -> Samples:
    """Indices of the first frame, and the palette's colours."""
    picture = GifImageFile(io.BytesIO(content))
    picture.load()
    if picture.mode == "L":  # Pillow's name for a palette of 0, 1, .. 255
        colours = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    else:
        colours = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if header.alpha:
        alpha = np.full((len(colours), 1), 255, np.uint8)
        alpha[picture.info["transparency"]] = 0
        colours = np.hstack([colours, alpha])
    return np.array(picture), colours


def _table_bytes(packed: int) -> int:
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0
