"""Image files byte by byte, as no library writes them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(pixels, form="PNG", **options):
    """By Pillow."""
    buffer = io.BytesIO()
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def animated(pixels, form):
    """Two frames."""
    picture = Image.fromarray(pixels)
    return encoded(
        picture, form, save_all=True, append_images=[Image.fromarray(255 - pixels)], duration=100
    )


def pages(pixels, count):
    """A TIFF of several pages."""
    picture = Image.fromarray(pixels)
    return encoded(picture, "TIFF", save_all=True, append_images=[picture] * (count - 1))


def stack(pixels):
    """A TIFF whose pages are these (pages, H, W)."""
    import tifffile

    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        for page in pixels:
            file.write(page, photometric="minisblack", contiguous=False, metadata=None)
    return buffer.getvalue()


def chunk(name, content):
    """One chunk of a PNG, with the right checksum."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(width, height, bits, kind, data, *before):
    """A PNG of these compressed data; `before` are chunks."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(before)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def png_method(interlacing):
    """A PNG of this method of interlacing."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, interlacing))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(72)))
        + chunk(b"IEND", b"")
    )


def png_rows(pixels):
    """The compressed, unfiltered rows of an array, most significant byte first."""
    rows = pixels.reshape(len(pixels), -1).astype(pixels.dtype.newbyteorder(">"))
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))


def png16(pixels):
    """(H, W) or (H, W, 2..4) uint16 as PNG, which Pillow does not write."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2] if pixels.ndim == 3 else 1]
    return png(pixels.shape[1], pixels.shape[0], 16, kind, png_rows(pixels))


def tiff(pixels, **tags):
    """By tifffile: any dtype, bands, compression, predictor, tile."""
    import tifffile

    buffer = io.BytesIO()
    options = {
        "photometric": "rgb" if pixels.ndim == 3 and pixels.shape[2] in (3, 4) else "minisblack"
    } | tags
    if pixels.ndim == 3 and options["photometric"] == "minisblack":
        options.setdefault("planarconfig", "contig")
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


def with_tag(content, number, value, index=0):
    """A little-endian classic TIFF in which one tag has another value, or count and value."""
    out = bytearray(content)
    (at,) = struct.unpack_from("<I", out, 4)
    (count,) = struct.unpack_from("<H", out, at)
    for place in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from("<HHI", out, place)
        if tag == number:
            wide = struct.calcsize("H" if kind == 3 else "I")
            where = struct.unpack_from("<I", out, place + 8)[0] if values * wide > 4 else place + 8
            struct.pack_into("<H" if kind == 3 else "<I", out, where + index * wide, value)
            return bytes(out)
    raise KeyError(number)


def tag_values(content, number):
    """The values of a tag of the first page."""
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        value = file.pages[0].tags[number].value
    return value if isinstance(value, tuple) else (value,)


def group4(ones, *, photometric=1, rows=None, fill_order=1):
    """(H, W) bool as a TIFF of CCITT Group 4; `rows` in each strip, by default all."""
    tags = {262: photometric, 278: rows or len(ones)}
    if fill_order != 1:
        tags[266] = fill_order
    return encoded(Image.fromarray(ones), "TIFF", compression="group4", tiffinfo=tags)


def npy(array, **options):
    """By NumPy."""
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def turned(pixels, orientation, form="PNG"):
    """With an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(pixels, form, exif=exif)


def tiny(pixels, bits):
    """A PNG of 1, 2 or 4 bits of grey."""
    per_byte = 8 // bits
    padded = np.pad(pixels, ((0, 0), (0, -pixels.shape[1] % per_byte)))
    packed = np.zeros((len(pixels), padded.shape[1] // per_byte), np.uint8)
    for i in range(per_byte):
        packed |= padded[:, i::per_byte] << (8 - bits * (i + 1))
    return png(pixels.shape[1], len(pixels), bits, 0, png_rows(packed))


def opened(content):
    """By Pillow."""
    return Image.open(io.BytesIO(content))


def interlaced(pixels):
    """(H, W) or (H, W, bands) uint8 or uint16 as an interlaced PNG, which Pillow does not write."""
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2] if pixels.ndim == 3 else 1]
    raw = b""
    for x, y, step_x, step_y in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        part = pixels[y::step_y, x::step_x]
        if part.size:
            raw += zlib.decompress(png_rows(part))
    bits = 8 * pixels.dtype.itemsize
    header = chunk(
        b"IHDR", struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, kind, 0, 0, 1)
    )
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
