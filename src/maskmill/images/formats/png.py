"""Read PNG by libpng, and interlaced PNG by libspng.

Both keep 16 bits and refuse missing rows, unlike Pillow. libpng is the faster of the two, but
prints a warning for each interlaced file.
"""

import ctypes
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from maskmill.images.formats import ifd
from maskmill.images.formats.header import DamageError, Header, Samples, SizeLimits

_KINDS = {
    0: (1, "grey", False),
    2: (3, "rgb", False),
    3: (1, "rgb", False),
    4: (2, "grey", True),
    6: (4, "rgb", True),
}
_DEPTHS = {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}
_START, _KIND_AT, _INTERLACE_AT = 8, 25, 28
_RGBA = 6


def header(content: bytes, limits: SizeLimits) -> Header:
    """Walks all chunks and checks their checksums."""
    found, pages, transparent, orientation, data = None, 1, False, 1, False
    for name, body in _chunks(content):
        if (name == b"IHDR") != (found is None):
            raise DamageError("its first chunk is not its only IHDR")
        if found is None:
            found = _described(body)
            limits(found.width, found.height, max(1, found.bands * found.bits // 8))
        elif name == b"acTL":
            (pages,) = struct.unpack(">I", body[:4])
        elif name == b"tRNS":
            transparent = True
        elif name == b"eXIf":
            orientation = ifd.orientation(bytes(body))
        data |= name == b"IDAT"
    if found is None or not data:
        raise DamageError("it holds no pixels (no IDAT chunk)")
    if transparent and not found.palette and not found.alpha:
        # libpng makes a band of the one transparent colour
        found = replace(found, bands=found.bands + 1)
    return replace(found, pages=pages, alpha=found.alpha or transparent, orientation=orientation)


def samples(content: bytes, header: Header) -> Samples:
    """The stored values: of a palette its indices, of fewer than 8 bits 0, 1, .."""
    import imagecodecs

    content, colours = _pixels_alone(content, header)
    plain = header.bits <= 8 and (header.palette or not header.alpha or content[_KIND_AT] == _RGBA)
    pixels: np.ndarray
    try:
        by_spng = content[_INTERLACE_AT] and plain  # which does not keep the rest
        pixels = imagecodecs.spng_decode(content) if by_spng else imagecodecs.png_decode(content)
    except imagecodecs.PngError:
        # it has given back a reference to None that it never took, which ends a long-lived Python
        # 3.11 in time
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
        raise
    if header.bits < 8:
        pixels //= 255 // (2**header.bits - 1)  # they come spread over 0..255
    return pixels, colours


def _chunks(content: bytes, *, check: bool = True) -> Iterator[tuple[bytes, memoryview]]:
    """Name and body of each chunk, and with `check` against its checksum. Raises: DamageError."""
    view, at, name = memoryview(content), _START, b""
    while name != b"IEND":
        if at + 12 > len(view):
            raise DamageError("cut off: it has no end (IEND chunk)")
        size, name = struct.unpack(">I4s", view[at : at + 8])
        if at + 12 + size > len(view):
            raise DamageError(f"cut off in chunk {name.decode('latin-1')!r} at byte {at:,}")
        (checksum,) = struct.unpack(">I", view[at + 8 + size : at + 12 + size])
        if check and zlib.crc32(view[at + 4 : at + 8 + size]) != checksum:
            raise DamageError(
                f"chunk {name.decode('latin-1')!r} at byte {at:,} has a wrong checksum"
            )
        yield name, view[at + 8 : at + 8 + size]
        at += 12 + size


def _described(body: memoryview) -> Header:
    width, height, bits, kind, *methods = struct.unpack(">IIBBBBB", body)
    if methods not in ([0, 0, 0], [0, 0, 1]):
        raise DamageError(f"methods {methods} of compression, filter and interlacing do not exist")
    if kind not in _KINDS or bits not in _DEPTHS.get(kind, (8, 16)):
        raise DamageError(f"colour type {kind} of {bits} bits does not exist")
    bands, colour, alpha = _KINDS[kind]
    dtype = "uint16" if bits == 16 else "bool" if (bits, kind) == (1, 0) else "uint8"
    return Header(
        "PNG", width, height, bands, dtype, palette=kind == 3, colour=colour, alpha=alpha, bits=bits
    )


def _pixels_alone(content: bytes, header: Header) -> tuple[bytes, np.ndarray | None]:
    """Return the file without what is not needed, and the colours of its palette.

    Left out are profiles and texts, on which libpng prints warnings. Indices are declared as grey
    values, which libpng does not turn into colours.
    """
    parts, palette, alpha = [content[:_START]], b"", b""
    for name, body in _chunks(content, check=False):  # the header's walk has checked them
        if name == b"IHDR" and header.palette:
            parts.append(_chunk(name, bytes(body[:9]) + b"\0" + bytes(body[10:])))
        elif name in (b"IHDR", b"IDAT", b"IEND") or (name == b"tRNS" and not header.palette):
            parts.append(_chunk(name, body))
        elif name == b"PLTE":
            palette = bytes(body)
        elif name == b"tRNS":
            alpha = bytes(body)
    return b"".join(parts), _colours(palette, alpha) if header.palette else None


def _colours(palette: bytes, alpha: bytes) -> np.ndarray:
    """(N, 3) uint8, or (N, 4) with transparency. Raises: DamageError where there are none."""
    colours = np.frombuffer(palette[: len(palette) // 3 * 3], np.uint8).reshape(-1, 3)
    if not len(colours):
        raise DamageError("its palette is missing (no PLTE chunk)")
    if alpha:
        last = np.frombuffer(alpha[: len(colours)].ljust(len(colours), b"\xff"), np.uint8)
        colours = np.dstack([colours[None], last[None]])[0]
    return colours


def _chunk(name: bytes, body: bytes | memoryview) -> bytes:
    return b"".join(
        [
            struct.pack(">I4s", len(body), name),
            body,
            struct.pack(">I", zlib.crc32(body, zlib.crc32(name))),
        ]
    )
