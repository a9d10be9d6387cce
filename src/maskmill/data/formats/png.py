"""PNG, by libpng: it refuses missing rows and wrong checksums, and keeps 16 bits, both of which Pillow does not."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from maskmill.data.formats import ifd
from maskmill.data.formats.header import DamageError, Header, Limits, Samples

_KINDS = {0: (1, "grey", False), 2: (3, "rgb", False), 3: (1, "rgb", False), 4: (2, "grey", True), 6: (4, "rgb", True)}
_DEPTHS = {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}
_START = 8


def header(content: bytes, limits: Limits) -> Header:
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
        found = replace(found, bands=found.bands + 1)  # libpng makes a band of the one transparent colour
    return replace(found, pages=pages, alpha=found.alpha or transparent, orientation=orientation)


def samples(content: bytes, header: Header) -> Samples:
    """The stored values: of a palette its indices, of fewer than 8 bits 0, 1, .."""
    import imagecodecs

    colours = None
    if header.palette:
        content, colours = _as_grey(content)
    pixels: np.ndarray = imagecodecs.png_decode(content)
    if header.bits < 8:
        pixels //= 255 // (2**header.bits - 1)  # libpng spreads them over 0..255
    return pixels, colours


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, at, name = memoryview(content), _START, b""
    while name != b"IEND":
        if at + 12 > len(view):
            raise DamageError("cut off: it has no end (IEND chunk)")
        size, name = struct.unpack(">I4s", view[at : at + 8])
        if at + 12 + size > len(view):
            raise DamageError(f"cut off in chunk {name.decode('latin-1')!r} at byte {at:,}")
        (checksum,) = struct.unpack(">I", view[at + 8 + size : at + 12 + size])
        if zlib.crc32(view[at + 4 : at + 8 + size]) != checksum:
            raise DamageError(f"chunk {name.decode('latin-1')!r} at byte {at:,} has a wrong checksum")
        yield name, view[at + 8 : at + 8 + size]
        at += 12 + size


def _described(body: memoryview) -> Header:
    width, height, bits, kind, _, _, _ = struct.unpack(">IIBBBBB", body)
    if kind not in _KINDS or bits not in _DEPTHS.get(kind, (8, 16)):
        raise DamageError(f"colour type {kind} of {bits} bits does not exist")
    bands, colour, alpha = _KINDS[kind]
    dtype = "uint16" if bits == 16 else "bool" if (bits, kind) == (1, 0) else "uint8"
    return Header("PNG", width, height, bands, dtype, palette=kind == 3, colour=colour, alpha=alpha, bits=bits)


def _as_grey(content: bytes) -> tuple[bytes, np.ndarray]:
    """The same file, its indices declared as grey values, which libpng does not turn into colours; and the colours."""
    parts, colours, alpha = [content[:_START]], np.zeros((0, 3), np.uint8), b""
    for name, body in _chunks(content):
        if name == b"IHDR":
            parts.append(_chunk(name, bytes(body[:9]) + b"\0" + bytes(body[10:])))
        elif name in (b"IDAT", b"IEND"):
            parts.append(_chunk(name, bytes(body)))
        elif name == b"PLTE":
            colours = np.frombuffer(body[: len(body) // 3 * 3], np.uint8).reshape(-1, 3)
        elif name == b"tRNS":
            alpha = bytes(body)
    if not len(colours):
        raise DamageError("its palette is missing (no PLTE chunk)")
    if alpha:
        last = np.frombuffer(alpha[: len(colours)].ljust(len(colours), b"\xff"), np.uint8)
        colours = np.dstack([colours[None], last[None]])[0]
    return b"".join(parts), colours


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
