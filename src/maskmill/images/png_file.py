"""Write a PNG row by row, with text in its metadata: the image may be larger than memory."""

import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import BinaryIO

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _UP = 0, 2, 2
_CHUNK_BYTES = 1_000_000


def write_rows(
    file: BinaryIO,
    size: tuple[int, int],
    bands: int,
    rows: Iterable[np.ndarray],
    text: Mapping[str, str],
) -> None:
    """Write an image of (height, width) `size` and 1 or 3 bands.

    `rows` are parts of it from the top, (n, W) or (n, W, bands) uint8. `text` is stored as iTXt
    chunks; keywords have 1 to 79 Latin characters.
    """
    height, width = size
    kind = {1: _GREY, 3: _RGB}[bands]
    file.write(_SIGNATURE)
    _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    for keyword, value in text.items():
        # no compression, no language
        body = keyword.encode("latin-1") + b"\0\0\0\0\0" + value.encode("utf-8", "replace")
        _write_chunk(file, b"iTXt", body)
    packer, waiting = zlib.compressobj(6), b""
    above = np.zeros(width * bands, np.uint8)
    for part in rows:
        lines = part.reshape(len(part), -1)
        filtered = np.empty((len(lines), lines.shape[1] + 1), np.uint8)
        filtered[:, 0] = _UP  # each row as its difference from the one above
        np.subtract(lines, np.concatenate([above[None], lines[:-1]]), out=filtered[:, 1:])
        above = lines[-1].copy()
        waiting += packer.compress(filtered.tobytes())
        if len(waiting) >= _CHUNK_BYTES:
            _write_chunk(file, b"IDAT", waiting)
            waiting = b""
    _write_chunk(file, b"IDAT", waiting + packer.flush())
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file: BinaryIO, name: bytes, body: bytes) -> None:
    file.write(struct.pack(">I", len(body)) + name + body)
    file.write(struct.pack(">I", zlib.crc32(name + body)))
