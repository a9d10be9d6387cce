"""Convert stored values to the 8-bit image that a network is fed with.

It is grey or colour, as `data.decoding` says.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from maskmill.images import policy
from maskmill.images.formats.header import DamageError, Header
from maskmill.settings.config import Decoding

_BLOCK_PX = 1_000_000  # worked on at once, so that wide numbers in between take no second image
_TURNS = {
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


def to_8_bit(
    stored: np.ndarray,
    colours: np.ndarray | None,
    header: Header,
    channels: int,
    decoding: Decoding,
) -> np.ndarray:
    """(H, W, channels) uint8, C-contiguous. Raises: DamageError for what only the pixels show."""
    if policy.names_bands(header, decoding):
        bands = [band - 1 for band in decoding.bands or ()]
        stored = stored[..., bands] if stored.ndim == 3 else stored[..., None][..., bands]
        return turn_upright(_eight_bits(stored, header.bits, decoding), header, decoding)
    pixels, alpha = stored, None
    if colours is not None:
        pixels = _apply_palette(stored, colours)
    if header.alpha:
        if decoding.alpha == "refuse":
            _check_opaque(pixels, header)
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
    pixels = _eight_bits(pixels, 8 if header.palette else header.bits, decoding)
    if alpha is not None and decoding.alpha not in ("drop", "refuse"):
        pixels = _lay_over(pixels, alpha, 255 if decoding.alpha == "white" else 0, header)
    if header.colour == "cmyk":
        pixels = _convert_mode(pixels, "CMYK", "RGB")
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if channels == 1 and pixels.ndim == 3:
        if decoding.colour == "refuse":
            raise DamageError(policy.colour_refused(header))
        pixels = _convert_mode(pixels, "RGB", "L")  # ITU-R 601
    if pixels.ndim == 2:
        pixels = (
            pixels[..., None] if channels == 1 else np.repeat(pixels[..., None], channels, axis=2)
        )
    return turn_upright(pixels, header, decoding)


def turn_upright(pixels: np.ndarray, header: Header, decoding: Decoding) -> np.ndarray:
    """Turned as EXIF says, where the policy is to do so."""
    if decoding.exif == "upright" and header.orientation in _TURNS:
        turns, mirrored = _TURNS[header.orientation]
        pixels = np.rot90(pixels, turns)
        pixels = pixels[:, ::-1] if mirrored else pixels
    return np.ascontiguousarray(pixels)


def count_not_opaque(pixels: np.ndarray, header: Header) -> int:
    """The pixels of (H, W, bands), of which alpha is the last, that are not fully opaque."""
    alpha = pixels[..., -1]
    full = _full_alpha(alpha, header)
    # row by row, which is many times as fast as alpha alone, and nearly all files end here
    if pixels.dtype.kind == "u" and (np.bitwise_and.reduce(pixels, axis=0)[:, -1] == full).all():
        return 0
    return int(np.count_nonzero(alpha != full))


def spread_few_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Values of fewer than 8 bits over 0..255; others as they are."""
    return values if bits >= 8 else values * np.uint8(255 // (2**bits - 1))


def _full_alpha(alpha: np.ndarray, header: Header) -> int:
    """What an opaque pixel holds; that of a palette has 8 bits whatever its indices have."""
    if alpha.dtype.kind == "f":
        return 1
    bits = 8 if header.palette else header.bits
    return (1 << (bits if alpha.dtype.kind == "u" else bits - 1)) - 1


def _check_opaque(pixels: np.ndarray, header: Header) -> None:
    """Raises: DamageError for pixels that are not opaque."""
    if not (clear := count_not_opaque(pixels, header)):
        return
    ways = "white and black" if header.premultiplied else "drop, white and black"
    bands = f", or all bands by their numbers: {policy.WHERE}.bands"
    raise DamageError(
        f"{clear:,} pixels that are not opaque; alpha is refused; allowed are {ways}:"
        f" {policy.WHERE}.alpha{bands if header.format == 'TIFF' and not header.palette else ''}"
    )


def _apply_palette(indices: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """A palette's colours; of one column (and alpha) where all are grey."""
    if (colours[:, :1] == colours[:, 1:3]).all():
        colours = np.delete(colours, [1, 2], axis=1)
    return looked_up(indices, colours)


def looked_up(indices: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """(H, W) indices -> (H, W, columns of the palette)."""
    if indices.max(initial=0) >= len(colours):
        raise DamageError(
            f"index {indices.max()} is not in its palette of {len(colours)} colours;"
            " export the file anew"
        )
    found: np.ndarray = colours[indices]
    return found


def _eight_bits(values: np.ndarray, bits: int, decoding: Decoding) -> np.ndarray:
    if bits <= 8 and values.dtype == np.uint8:
        return spread_few_bits(values, bits)
    low, high = decoding.value_range or (0, 2**bits - 1)
    if values.dtype == np.uint16:
        table: np.ndarray = _scale_linearly(np.arange(65536, dtype=np.float64), low, high)[values]
        return table
    out = np.empty(values.shape, np.uint8)
    for rows in _blocks(values):
        with np.errstate(invalid="ignore"):  # a signalling NaN, which is told below
            block = values[rows].astype(np.float64)
        if not np.isfinite(block).all():
            raise DamageError(
                f"{np.count_nonzero(~np.isfinite(values)):,} values are NaN or infinite; allowed"
                " are numbers; fill them in the file"
            )
        out[rows] = _scale_linearly(block, low, high)
    return out


def _scale_linearly(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Linear from low..high to 0..255, rounded to even, clipped."""
    scaled: np.ndarray = np.rint((values - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)
    return scaled


def _convert_mode(pixels: np.ndarray, mode: str, wanted: str) -> np.ndarray:
    """By Pillow, from one of its modes to another."""
    out = np.empty(pixels.shape[:2] + ((3,) if wanted == "RGB" else ()), np.uint8)
    for rows in _blocks(pixels):
        size = (pixels.shape[1], len(pixels[rows]))
        out[rows] = np.asarray(Image.frombytes(mode, size, pixels[rows].tobytes()).convert(wanted))
    return out


def _lay_over(pixels: np.ndarray, alpha: np.ndarray, ground: int, header: Header) -> np.ndarray:
    """The image laid over black (0) or white (255), rounded."""
    full = _full_alpha(alpha, header)
    if alpha.dtype not in (np.uint8, np.uint16):
        raise DamageError(
            f"alpha of {alpha.dtype};"
            f" allowed is alpha of 8 or 16 bits, or {policy.WHERE}.alpha: drop"
        )
    out = np.empty(pixels.shape, np.uint8)
    for rows in _blocks(pixels):
        a, p = alpha[rows].astype(np.uint32), pixels[rows].astype(np.uint32)
        a = a if pixels.ndim == 2 else a[..., None]
        out[rows] = np.minimum(
            ((p * full if header.premultiplied else p * a) + ground * (full - a) + full // 2)
            // full,
            255,
        )
    return out


def _blocks(values: np.ndarray) -> Iterator[slice]:
    step = max(1, _BLOCK_PX // max(1, values[0].size))
    return (slice(start, start + step) for start in range(0, len(values), step))
