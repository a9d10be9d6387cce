"""Image files to arrays: the one decoder of training, evaluation, batch inference and serving.

Pillow decodes, since it refuses truncated files and keeps the ids of palette masks. The format is taken from the
file's first bytes, never from its name, and the header is checked before any pixel is read.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from maskmill import files
from maskmill.errors import MaskmillError

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
MAX_PIXELS = 100_000_000
_IMAGE_MODES = {1: ("L",), 3: ("L", "P", "RGB")}  # channels wanted -> Pillow modes that convert without loss
_MASK_MODES = ("1", "L", "P")


class DecodeError(MaskmillError):
    """A file that cannot be read as what it should be; the message names it."""


def image(source: Path | bytes, channels: int, name: str = "", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """An image as it is meant to be seen, upright by its EXIF orientation.

    Returns: (H, W, channels) uint8; a grey file fills three channels where three are wanted.
    Raises: DecodeError for another format, a broken file, too many pixels, alpha, 16 bits, or a colour file where
        one channel is wanted.
    """
    name = name or _name(source)
    picture = _open(source, name, max_pixels)
    if picture.mode not in _IMAGE_MODES[channels]:
        raise DecodeError(
            f"{name}: an image of mode {picture.mode}; data.in_channels is {channels}, for which Pillow modes "
            f"{', '.join(_IMAGE_MODES[channels])} are read; convert the file or change data.in_channels"
        )
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"), dtype=np.uint8)
    return np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], channels))


def mask(source: Path | bytes, name: str = "") -> np.ndarray:
    """A mask's stored values, palette indices included.

    Returns: (H, W) uint8. Raises: DecodeError for a colour or 16-bit mask, or a broken file.
    """
    name = name or _name(source)
    picture = _open(source, name)
    if picture.mode not in _MASK_MODES:
        raise DecodeError(
            f"{name}: a mask of mode {picture.mode}; masks hold one 8-bit value per pixel (Pillow modes "
            f"{', '.join(_MASK_MODES)}); save it as grey or palette PNG"
        )
    return np.array(picture, dtype=np.uint8)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W), (H, W, 1) or (H, W, 3) uint8 as PNG, in one step."""
    files.write_bytes(path, png_bytes(pixels))


def png_bytes(pixels: np.ndarray) -> bytes:
    """(H, W), (H, W, 1) or (H, W, 3) uint8 as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _name(source: Path | bytes) -> str:
    return str(source) if isinstance(source, Path) else "image"


def _open(source: Path | bytes, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture, loaded and upright."""
    try:
        picture = Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=FORMATS)
        _check_header(picture, name, max_pixels)
        picture.load()
        return ImageOps.exif_transpose(picture)
    except (DecodeError, MemoryError):
        raise
    except FileNotFoundError:
        raise DecodeError(f"{name}: no such file") from None
    except UnidentifiedImageError:
        raise DecodeError(f"{name}: not an image by its first bytes; read are {', '.join(FORMATS)}") from None
    except Exception as error:  # a damaged file makes Pillow raise TypeError, struct.error, KeyError and others
        raise DecodeError(f"{name}: broken or unreadable: {error}") from None


def _check_header(picture: Image.Image, name: str, max_pixels: int) -> None:
    if picture.width * picture.height > max_pixels:
        raise DecodeError(
            f"{name}: {picture.width} x {picture.height} px; at most {max_pixels:,} px are read; scale it down"
        )
    if (pages := getattr(picture, "n_frames", 1)) > 1:
        raise DecodeError(f"{name}: {pages} pages; one image per file is read; split it into files")
