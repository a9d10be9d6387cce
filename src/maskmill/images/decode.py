"""Image files to arrays: the one decoder of training, evaluation, batch inference and serving.

The format is taken from the file's first bytes, never from its name. Limits and the policy
(`data.decoding`) are held against the header before any pixel is read, and a file that is not whole
is refused; see `formats`.
"""

import io
import stat
import struct
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from maskmill.images import formats, pixels, policy
from maskmill.images.formats.header import DamageError, Header, UnreadError
from maskmill.settings.config import STRICT, Decoding
from maskmill.system import files
from maskmill.system.errors import MaskmillError

__all__ = [
    "FORMATS", "SUFFIXES", "DecodeError", "Header",
    "header", "image", "mask", "png_bytes", "read_bytes", "write_png",
]  # fmt: skip
FORMATS = formats.NAMES
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif")


NO_DATA = -1  # in a mask of int32: a pixel that its writer left out; it takes part in nothing


class DecodeError(MaskmillError):
    """A file that cannot be read as what it should be; the message names it."""


def header(
    source: Path | bytes, decoding: Decoding, name: str = "", page: int | None = None
) -> Header:
    """What the file says of its pixels, or of those of a page, counted from 0; none is read.

    Raises: DecodeError for what is no file, another format, damage, or more than the limits.
    """
    name = _source_name(source, name)
    found, _ = _header(
        read_bytes(source, decoding, name), decoding, name, None, formats.OF_MASKS, page
    )
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
    data = read_bytes(source, decoding, name)
    found, module = _header(data, decoding, name, max_pixels, formats.NAMES, page)
    if reason := policy.image_refused(found, channels, decoding):
        raise DecodeError(f"{name}: {reason}")
    try:
        stored, colours = _samples(data, found, module, name, page)
        return pixels.to_8_bit(stored, colours, found, channels, decoding)
    except DamageError as error:
        raise DecodeError(f"{name}: {error}") from None


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

    `palette_colours` gives a palette's colours instead; `lossy` takes files that were saved with
    loss, too, for values that are read by a threshold; `page` is that of a stack, counted from 0.
    Negative numbers and NaN, which stand for no data, become NO_DATA.

    Returns: (H, W) uint8 or uint16, int32 where NO_DATA occurs; (H, W, 3) uint8 of colours.
    Raises: DecodeError as `header` does, and for a lossy file, a GIF read by its values, CMYK,
        bands, transparency, or values that are no whole numbers from 0 to 65535.
    """
    name = _source_name(source, name)
    data = read_bytes(source, decoding, name)
    found, module = _header(data, decoding, name, None, formats.OF_MASKS, page)
    if reason := policy.mask_refused(
        found, by_colour=palette_colours, lossy=lossy
    ) or policy.exif_refused(found, decoding):
        raise DecodeError(f"{name}: {reason}")
    stored, colours = _samples(data, found, module, name, page)
    if palette_colours and colours is not None:
        try:
            stored = pixels.looked_up(stored, colours)
        except DamageError as error:
            raise DecodeError(f"{name}: {error}") from None
    if found.alpha and stored.ndim == 3:
        stored = _drop_alpha(stored, name, decoding)
    return pixels.turn_upright(_check_whole_numbers(stored, name), found, decoding)


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

    try:
        found: Header = module.header(data, limits, *([page] if page else []))
    except DecodeError:
        raise
    except (ValueError, struct.error, IndexError, OverflowError) as error:
        # numbers that are not there
        if isinstance(error, UnreadError):
            raise DecodeError(f"{name}: {error}") from None
        reason = str(error) if isinstance(error, DamageError) else "cut off in its header"
        raise DecodeError(
            f"{name}: broken or unreadable: {reason}; put the whole file there"
        ) from None
    if page is not None and kind != "TIFF":
        raise DecodeError(
            f"{name}: {kind} as a stack; pages are read of TIFF; `pages: false` reads it"
        )
    if page is None and found.pages > 1 and kind != "GIF":
        raise DecodeError(
            f"{name}: {found.pages} pages; one image per file is read; `pages: true` in "
            "data/source.yaml takes each page for an image, or split it into files"
        )
    return found, module


def _samples(
    data: bytes, found: Header, module: ModuleType, name: str, page: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The stored values, of the shape that the header promises."""
    try:
        stored, colours = module.samples(data, found, *([page] if page else []))
    except MemoryError:
        raise
    except Exception as error:
        # a damaged file makes decoders raise TypeError, KeyError, RuntimeError and others
        reason = escape_name(" ".join(str(error).split()))
        raise DecodeError(
            f"{name}: broken or unreadable: {reason}; put the whole file there"
        ) from None
    shape = (found.height, found.width, *((found.bands,) if found.bands > 1 else ()))
    if stored.shape != shape:
        raise DecodeError(
            f"{name}: broken or unreadable: pixels of shape {stored.shape}, its header says {shape}"
        )
    return stored, colours


def _drop_alpha(stored: np.ndarray, name: str, decoding: Decoding) -> np.ndarray:
    """The values without alpha; those of clear pixels are 0 where `decoding.mask_alpha` says so."""
    opacity = stored[..., -1]
    values: np.ndarray = stored[..., 0] if stored.shape[2] == 2 else stored[..., :-1]
    values = np.ascontiguousarray(values)
    if np.all(opacity == np.iinfo(stored.dtype).max):
        return values
    if decoding.mask_alpha == "refuse":
        clear = np.count_nonzero(opacity != np.iinfo(stored.dtype).max)
        raise DecodeError(
            f"{name}: {clear:,} transparent pixels in a mask; allowed is no alpha, or a full one; "
            f"export it without, or take them for 0 or black: {policy.WHERE}.mask_alpha: zero"
        )
    values[opacity == 0] = 0
    return values


def _check_whole_numbers(stored: np.ndarray, name: str) -> np.ndarray:
    """uint8 or uint16; int32 with NO_DATA where numbers are negative or NaN."""
    if stored.dtype == np.uint8:
        return stored
    if stored.dtype == np.bool_:
        return stored.astype(np.uint8)
    if stored.dtype.kind == "u":
        return _check_wide(stored, name)
    empty = np.isnan(stored) | (stored < 0) if stored.dtype.kind == "f" else stored < 0
    known = stored[~empty]
    if stored.dtype.kind == "f" and (known != np.rint(known)).any():
        got = known[known != np.rint(known)][0]
        raise DecodeError(
            f"{name}: the value {got:g} in a mask; allowed are whole numbers from 0 to 65535, and "
            "negative ones or NaN for no data; export the mask so"
        )
    known = _check_wide(known, name)
    if not empty.any():
        return known.reshape(stored.shape)
    whole = np.full(stored.shape, NO_DATA, np.int32)
    whole[~empty] = known
    return whole


def _check_wide(known: np.ndarray, name: str) -> np.ndarray:
    """Whole numbers as uint8 or uint16."""
    most = known.max(initial=0)
    if most > 65535:
        raise DecodeError(
            f"{name}: the value {most:.0f} in a mask; allowed are whole numbers from 0 to 65535; "
            "export the mask so"
        )
    return known.astype(np.uint8 if known.dtype.itemsize == 1 else np.uint16)


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "folder", stat.S_ISFIFO: "pipe", stat.S_ISSOCK: "socket"}
    return next((name for test, name in kinds.items() if test(mode)), "device")
