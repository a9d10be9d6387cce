"""Good pairs: an image and a mask as files of any format, and the pixels that must come out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from maskmill.settings.config import STRICT, Decoding
from tests.bad_inputs import build

Rng = np.random.Generator
_TIFF = ({}, {"compression": "lzw"}, {"compression": "zlib", "predictor": True},
         {"tile": (16, 32)}, {"byteorder": ">"}, {"rowsperstrip": 3}, {"compression": "zstd"},
         {"bigtiff": True})  # fmt: skip


@dataclass(frozen=True)
class Good:
    """One file, and what it holds; `pixels` is None where a lossy format gives no exact answer."""

    content: bytes
    pixels: np.ndarray | None
    shape: tuple[int, ...]
    channels: int = 0  # 0: a mask
    decoding: Decoding = STRICT


def pairs(seed: int) -> Iterator[tuple[Good, Good]]:
    """Without end."""
    rng = np.random.default_rng(seed)
    while True:
        size = tuple(int(n) for n in rng.integers(1, 60, 2))
        yield image(rng, size), mask(rng, size)


def image(rng: Rng, size: tuple[int, int]) -> Good:
    """An image of a random format, kind and policy."""
    kinds = [grey, colour, lossy, palette, wide, floats, bands, alpha]
    return kinds[rng.integers(len(kinds))](rng, size)


def _policy(**options: Any) -> Decoding:
    return STRICT.model_copy(update=options)


def _values(rng: Rng, size: tuple[int, ...]) -> np.ndarray:
    if rng.random() < 0.5:
        return rng.integers(0, 256, size, np.uint8)
    return np.full(size, rng.integers(256), np.uint8)


def _lossless(rng: Rng, pixels: np.ndarray, *, ids: bool = False) -> bytes:
    form = ["PNG", "TIFF", "BMP", "tiff", "WEBP" if pixels.ndim == 3 else "GIF"][
        rng.integers(4 if ids else 5)
    ]
    if form == "PNG" and rng.random() < 0.3:
        return build.interlaced(pixels)
    if form == "tiff":
        return build.tiff(pixels, **_TIFF[rng.integers(len(_TIFF))])
    return build.encoded(
        pixels, form, **({"lossless": True, "exact": True} if form == "WEBP" else {})
    )


def grey(rng: Rng, size: tuple[int, int]) -> Good:
    """8-bit grey, of one channel or filling three, sometimes turned."""
    pixels, channels = _values(rng, size), int(rng.choice([1, 3]))
    wanted = np.repeat(pixels[..., None], channels, axis=2)
    return Good(_lossless(rng, pixels), wanted, wanted.shape, channels)


def colour(rng: Rng, size: tuple[int, int]) -> Good:
    """8-bit colours, or their luma."""
    pixels = _values(rng, (*size, 3))
    content = _lossless(rng, pixels)
    if rng.random() < 0.3:
        luma = np.asarray(Image.fromarray(pixels).convert("L"))[..., None]
        return Good(content, luma, luma.shape, 1, _policy(colour="luma"))
    return Good(content, pixels, pixels.shape, 3)


def lossy(rng: Rng, size: tuple[int, int]) -> Good:
    """JPEG and WebP as Pillow reads them."""
    pixels = _values(rng, (*size, 3))
    picture = Image.fromarray(pixels).convert(["L", "RGB", "CMYK"][rng.integers(3)])
    form = "JPEG" if picture.mode != "RGB" or rng.random() < 0.7 else "WEBP"
    options = {"quality": int(rng.integers(5, 100))}
    if form == "JPEG":
        options |= {"progressive": bool(rng.integers(2)), "optimize": bool(rng.integers(2)),
                    "subsampling": int(rng.integers(3)),
                    "restart_marker_blocks": int(rng.integers(3))}  # fmt: skip
    content = build.encoded(picture, form, **options) + rng.bytes(
        int(rng.integers(0, 9)) * (rng.random() < 0.2)
    )
    wanted = build.opened(content).convert("RGB")
    return Good(content, np.asarray(wanted), (*size, 3), 3, _policy(cmyk="convert"))


def palette(rng: Rng, size: tuple[int, int]) -> Good:
    """Indices of up to 256 colours, in 1 to 8 bits."""
    count = int(rng.choice([2, 3, 4, 9, 16, 200, 256]))
    colours = rng.integers(0, 256, (count, 3), np.uint8)
    indices = rng.integers(0, count, size).astype(np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette(colours.tobytes())
    content = build.encoded(picture, ["PNG", "GIF", "BMP", "TIFF"][rng.integers(4)])
    return Good(content, colours[indices], (*size, 3), 3)


def wide(rng: Rng, size: tuple[int, int]) -> Good:
    """16 bits, scaled from a range."""
    channels = int(rng.choice([1, 3]))
    pixels = rng.integers(0, 65536, (*size, channels)).astype(np.uint16)
    low, high = sorted(rng.choice(65536, 2, replace=False).tolist())
    stored = pixels[..., 0] if channels == 1 else pixels
    makers = [
        build.png16,
        build.interlaced,
        lambda stored: build.tiff(stored, **_TIFF[rng.integers(len(_TIFF))]),
    ]
    content = makers[rng.integers(3)](stored)
    return Good(
        content, scaled(pixels, low, high), pixels.shape, channels, _policy(value_range=(low, high))
    )


def floats(rng: Rng, size: tuple[int, int]) -> Good:
    """Floats and signed numbers, scaled from a range."""
    dtype = ["float16", "float32", "float64", "int16", "int8"][rng.integers(5)]
    pixels = rng.normal(0, 50, (*size, 1)).clip(-120, 120).astype(dtype)
    options = [
        {},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"byteorder": ">"},
    ]
    content = build.tiff(pixels[..., 0], **options[rng.integers(4)])
    return Good(
        content, scaled(pixels, -100.0, 60.0), pixels.shape, 1, _policy(value_range=(-100.0, 60.0))
    )


def bands(rng: Rng, size: tuple[int, int]) -> Good:
    """Some bands of many, in their order."""
    count, channels = int(rng.integers(2, 9)), int(rng.choice([1, 2, 3, 4]))
    pixels = rng.integers(0, 256, (*size, count), np.uint8)
    chosen = tuple(int(n) for n in rng.integers(1, count + 1, channels))
    planar = ["contig", "separate"][rng.integers(2)]
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    content = build.tiff(stored, photometric="minisblack", planarconfig=planar)
    wanted = pixels[..., [n - 1 for n in chosen]]
    return Good(content, wanted, wanted.shape, channels, _policy(bands=chosen))


def alpha(rng: Rng, size: tuple[int, int]) -> Good:
    """Alpha dropped, or the image laid over white or black; none is refused where all is opaque."""
    pixels, policy = _values(rng, (*size, 4)), ["drop", "white", "black", "refuse"][rng.integers(4)]
    if policy == "refuse":
        pixels[..., 3] = 255
    form = ["PNG", "WEBP", "TIFF"][rng.integers(3)]
    content = build.encoded(
        pixels, form, **({"lossless": True, "exact": True} if form == "WEBP" else {})
    )
    a, colours = pixels[..., 3:].astype(float) / 255, pixels[..., :3].astype(float)
    laid = (
        colours
        if policy in ("drop", "refuse")
        else colours * a + (255 if policy == "white" else 0) * (1 - a)
    )
    return Good(
        content, np.floor(laid + 0.5 + 1e-9).astype(np.uint8), (*size, 3), 3, _policy(alpha=policy)
    )


def scaled(pixels: np.ndarray, low: float, high: float) -> np.ndarray:
    """The same linear map, written another way."""
    return np.clip(np.round((pixels.astype(np.float64) - low) * 255 / (high - low)), 0, 255).astype(
        np.uint8
    )


def mask(rng: Rng, size: tuple[int, int]) -> Good:
    """A mask of a random format and depth."""
    kind = int(rng.integers(8))
    if kind == 6:
        return _mask_with_no_data(rng, size)
    if kind == 7:
        ones = _values(rng, size) > 127
        content = build.group4(
            ones, photometric=int(rng.integers(2)), rows=int(rng.integers(1, size[0] + 1))
        )
        return Good(content, ones.astype(np.uint8), size)
    depth = [1, 2, 4, 8, 16, 8][kind]
    pixels = rng.integers(0, min(2**depth, 2 ** int(rng.integers(1, depth + 1))), size)
    pixels = pixels.astype(np.uint16 if depth == 16 else np.uint8)
    if depth < 8:
        content = build.tiny(pixels, depth)
    elif depth == 16:
        makers = [build.png16, build.tiff, build.npy]
        content = makers[rng.integers(3)](pixels)
    elif kind == 3 and rng.random() < 0.3:
        content = build.npy(
            np.asfortranarray(pixels).astype(["u1", "<i4", ">i8", "<u2"][rng.integers(4)])
        )
        wide = content[8:90].find(b"u1") < 0
        pixels = pixels.astype(np.uint16) if wide else pixels
    elif kind == 3:
        content = _lossless(rng, pixels, ids=True)
    else:
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        stored = np.dstack([pixels, np.full(size, 255, np.uint8)]) if rng.random() < 0.3 else pixels
        content = build.encoded(stored, ["PNG", "TIFF", "WEBP"][rng.integers(3)], lossless=True)
    return Good(content, pixels, pixels.shape)


def _mask_with_no_data(rng: Rng, size: tuple[int, int]) -> Good:
    """Signed numbers or floats, of which some are negative or, of floats, NaN."""
    dtype = np.dtype(["int8", "int16", "<i8", "float32", "float64"][rng.integers(5)])
    stored = rng.integers(0, 120, size).astype(dtype)
    empty = rng.random(size) < 0.2
    empty[tuple(rng.integers(0, side) for side in size)] = True
    stored[empty] = rng.choice([np.nan, -1, -9999] if dtype.kind == "f" else [-1, -128])
    content = build.tiff(stored) if dtype.itemsize < 8 else build.npy(stored)
    return Good(content, np.where(empty, -1, np.nan_to_num(stored)).astype(np.int32), size)
