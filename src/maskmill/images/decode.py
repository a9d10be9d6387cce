"""Image files to arrays: the one decoder of training, evaluation, batch inference and serving.

The format is taken from the file's first bytes, never from its name. Limits and the policy
(`data.decoding`) are held against the header before any pixel is read, and a file that is not whole
is refused; see `formats`.
"""

import io
import stat
import struct
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from maskmill.images import formats, mask_values, pixels, policy
from maskmill.images.formats.header import DamageError, Header, UnreadError
from maskmill.images.mask_values import NO_DATA
from maskmill.settings.config import STRICT, Decoding
from maskmill.system import files
from maskmill.system.errors import MaskmillError

__all__ = [
    "FORMATS", "NO_DATA", "SUFFIXES", "DecodeError", "Header",
    "header", "image", "mask", "png_bytes", "read_bytes", "stored", "write_png",
]  # fmt: skip
FORMATS = formats.NAMES
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")


class DecodeError(MaskmillError):
    """A file that cannot be read as what it should be; the message names it."""


def header(
    source: Path | bytes, decoding: Decoding, name: str = "", page: int | None = None
) -> Header:
    """What the file says of its pixels, or of those of a page, counted from 0; none is read.

    Raises: DecodeError for what is no file, another format, damage, or more than the limits.
    """
    name = _source_name(source, name)
    data = _read(source, decoding, name, page)
    found, _ = _header(data, decoding, name, None, formats.OF_MASKS, page)
    return found


def image(
    source: Path | bytes,
    channels: int,
    decoding: Decoding = STRICT,
    name: str = "",
    max_pixels: int | None = None,
    page: int | None = None,
) -> np.ndarray:
    """An image, or a page of a stack, counted from 0, as the policy wants it.

    `max_pixels` is a server's own limit, which may be lower.

    Returns: (H, W, channels) uint8; a grey file fills three channels where three are wanted.
    Raises: DecodeError as `header` does, and for what the policy refuses.
    """
    name = _source_name(source, name)
    data = _read(source, decoding, name, page)
    found, module = _header(data, decoding, name, max_pixels, formats.NAMES, page)
    if reason := policy.image_refused(found, channels, decoding):
        raise DecodeError(f"{name}: {reason}")
    try:
        values, colours = _samples(data, found, module, name, page)
        return pixels.to_8_bit(values, colours, found, channels, decoding)
    except DamageError as error:
        raise DecodeError(f"{name}: {error}") from None


def stored(
    source: Path | bytes, decoding: Decoding, name: str = "", page: int | None = None
) -> tuple[np.ndarray, Header]:
    """The values as the file has them, (H, W) or (H, W, bands), and its header.

    Raises: DecodeError as `header` does.
    """
    name = _source_name(source, name)
    data = _read(source, decoding, name, page)
    found, module = _header(data, decoding, name, None, formats.OF_MASKS, page)
    values, _ = _samples(data, found, module, name, page)
    return values, found


def mask(
    source: Path | bytes,
    decoding: Decoding = STRICT,
    name: str = "",
    *,
    palette_colours: bool = False,
    lossy: bool = False,
    page: int | None = None,
) -> np.ndarray:
    """Return a mask's stored values; those of a palette file are its indices.

    `palette_colours` gives a palette's colours instead, and spreads the greys of fewer than 8 bits
    over 0..255, as viewers do. `lossy` takes files that were saved with loss, too, whose values
    must be read by a threshold or as the nearest colour. `page` is that of a stack, from 0.
    Negative numbers and NaN, which stand for no data, become NO_DATA.

    Returns: (H, W) uint8 or uint16, int32 where NO_DATA occurs; (H, W, 3) uint8 of colours.
    Raises: DecodeError as `header` does, and for a lossy file, a GIF read by its values, CMYK,
        bands, transparency, fractions, or numbers above 65535.
    """
    name = _source_name(source, name)
    data = _read(source, decoding, name, page)
    found, module = _header(data, decoding, name, None, formats.OF_MASKS, page)
    if reason := policy.mask_refused(
        found, by_colour=palette_colours, lossy=lossy
    ) or policy.exif_refused(found, decoding):
        raise DecodeError(f"{name}: {reason}")
    values, colours = _samples(data, found, module, name, page)
    try:
        if palette_colours and colours is not None:
            values = pixels.looked_up(values, colours)
        if found.alpha and values.ndim == 3:
            values = mask_values.drop_alpha(values, found, decoding)
        if palette_colours and colours is None:
            values = pixels.spread_few_bits(values, found.bits)
        whole = mask_values.to_whole_numbers(values)
    except DamageError as error:
        raise DecodeError(f"{name}: {error}") from None
    return pixels.turn_upright(whole, found, decoding)


def read_bytes(source: Path | bytes, decoding: Decoding = STRICT, name: str = "") -> bytes:
    """The bytes of a regular file within `max_file_mb`; a pipe, folder or device is never opened.

    Raises: DecodeError for what is no such file.
    """
    if isinstance(source, bytes):
        return source
    name = _source_name(source, name)
    try:
        status = source.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError(
                f"{name}: no regular file but a {_kind(status.st_mode)}; put an image file there"
            )
        if status.st_size > decoding.max_file_mb * 1_000_000:
            raise DecodeError(
                f"{name}: {status.st_size / 1e6:,.0f} MB; at most {decoding.max_file_mb:,} MB are"
                f" read ({policy.WHERE}.max_file_mb)"
            )
        with source.open("rb") as file:
            return file.read(status.st_size)
    except FileNotFoundError:
        raise DecodeError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if isinstance(error, DecodeError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DecodeError(f"{name}: cannot be read: {reason}") from None


def _read(source: Path | bytes, decoding: Decoding, name: str, page: int | None) -> bytes:
    """As `read_bytes`; a stack is read once for the pages that are asked for in a row."""
    if page is not None and isinstance(source, Path):
        try:
            status = source.stat()
        except (OSError, ValueError):
            pass  # `read_bytes` says what it is
        else:
            version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            return _read_stack(source, version, decoding, name)
    return read_bytes(source, decoding, name)


@lru_cache(maxsize=2)  # the images and the masks, whose pages are read in turn
def _read_stack(
    path: Path, version: tuple[int, int, int, int], decoding: Decoding, name: str
) -> bytes:
    """`version` changes with the file."""
    return read_bytes(path, decoding, name)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W), (H, W, 1) or (H, W, 3) uint8 as PNG, in one step."""
    files.write_bytes(path, png_bytes(pixels))


def png_bytes(pixels: np.ndarray) -> bytes:
    """(H, W), (H, W, 1) or (H, W, 3) uint8 as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def escape_name(name: str) -> str:
    """Return a file's name in one line.

    Control characters, and bytes that are no text, are written as escapes.
    """
    if name.isprintable():
        return name
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in name
    )


def _source_name(source: Path | bytes, name: str) -> str:
    return escape_name(name or (str(source) if isinstance(source, Path) else "image"))


def _header(
    data: bytes,
    decoding: Decoding,
    name: str,
    max_pixels: int | None,
    allowed: tuple[str, ...],
    page: int | None,
) -> tuple[Header, ModuleType]:
    kind, module = formats.recognise(data)
    if module is None or kind not in allowed:
        raise DecodeError(f"{name}: {formats.describe(data, kind, allowed)}")

    def limits(width: int, height: int, pixel_bytes: int) -> None:
        if reason := policy.too_much(width, height, pixel_bytes, len(data), decoding, max_pixels):
            raise DecodeError(f"{name}: {reason}")

    if page is not None and kind != "TIFF":
        raise DecodeError(
            f"{name}: {kind} as a stack; pages are read of TIFF; `pages: false` in data/source.yaml"
            " reads it as one image"
        )
    try:
        found: Header = module.header(data, limits, **_page_option(page))
    except DecodeError:
        raise
    except (ValueError, struct.error, IndexError, OverflowError) as error:
        # struct.error and IndexError: numbers that are not there
        said = str(error) if isinstance(error, DamageError) else "cut off in its header"
        raise _refusal(name, error, said) from None
    if page is None and found.pages > 1 and kind != "GIF":
        way = "split it into files"
        if kind == "TIFF":
            way += ", or take each page for an image by `pages: true` in data/source.yaml"
        raise DecodeError(f"{name}: {found.pages} pages; one image per file is read; {way}")
    return found, module


def _samples(
    data: bytes, found: Header, module: ModuleType, name: str, page: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The stored values, of the shape that the header promises."""
    try:
        values, colours = module.samples(data, found, **_page_option(page))
    except MemoryError:
        raise
    except Exception as error:
        # a damaged file makes decoders raise TypeError, KeyError, RuntimeError and others
        raise _refusal(name, error, escape_name(" ".join(str(error).split()))) from None
    shape = (found.height, found.width, *((found.bands,) if found.bands > 1 else ()))
    if values.shape != shape:
        raise DecodeError(
            f"{name}: broken or unreadable: pixels of shape {values.shape}, its header says {shape}"
        )
    return values, colours


def _page_option(page: int | None) -> dict[str, int]:
    return {} if page is None else {"page": page}


def _refusal(name: str, error: Exception, said: str) -> DecodeError:
    """What is said of a damaged file, and of a whole one of a kind that is not read."""
    if isinstance(error, UnreadError):
        return DecodeError(f"{name}: {said}")
    return DecodeError(f"{name}: broken or unreadable: {said}; put the whole file there")


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "folder", stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket"}
    return next((name for test, name in kinds.items() if test(mode)), "device")
