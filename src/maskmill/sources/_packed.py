"""Run lengths that are packed: as text by COCO, as a stream of bits by Label Studio.

The stream has the form of @thi.ng/rle-pack: 32 bits of a number of values, 5 of their width less 1,
four times 4 of the widths of lengths less 1; then runs: a bit that says whether all values are
equal, 2 bits that choose the width of the length, the length less 1, and the value, or all values.
The values are red, green, blue and alpha of the pixels, along the rows.
"""

from typing import Any

import numpy as np

from maskmill.sources._drawing import Size

_HEAD_BITS = 32 + 5 + 4 * 4
_DRAWN = 128  # alpha; strokes have soft rims


def fault(packed: Any, size: Size) -> str:
    """Why a list of bytes is no image of that size; "" where it begins as one does."""
    if not isinstance(packed, list) or not all(type(b) is int and 0 <= b <= 255 for b in packed):
        return "a brush needs its bytes, whole numbers from 0 to 255"
    expected = size[0] * size[1] * 4
    if len(packed) * 8 < _HEAD_BITS or int.from_bytes(bytes(packed[:4]), "big") != expected:
        return f"a brush that does not fill {size[1]} x {size[0]} px"
    return ""


def unpack(packed: list[int], size: Size) -> np.ndarray:
    """(H, W) bool, true where the stroke covers half of a pixel or more.

    Raises: ValueError where the stream is cut off, or does not hold values of 8 bits.
    """
    bits = "".join(format(byte, "08b") for byte in packed)
    place = 32

    def take(width: int) -> int:
        nonlocal place
        if place + width > len(bits):
            raise ValueError("a brush whose bytes are cut off")
        place += width
        return int(bits[place - width : place], 2)

    if (width := take(5) + 1) != 8:
        raise ValueError(f"a brush of {width} bits a value; 8 are read")
    widths = [take(4) + 1 for _ in range(4)]
    values = np.zeros(size[0] * size[1] * 4, np.uint8)
    done = 0
    while done < len(values):
        equal = take(1)
        end = min(done + take(widths[take(2)]) + 1, len(values))
        values[done:end] = take(8) if equal else [take(8) for _ in range(end - done)]
        done = end
    return values[3::4].reshape(size) >= _DRAWN


def lengths_of_text(text: str) -> list[int]:
    """The run lengths in COCO's compressed text.

    5 bits a character from 48, from the fourth on as differences.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (code & 16) << (shift - 4)
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts if not shift else []
