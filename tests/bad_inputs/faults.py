"""The table of faults: each row makes one file from a seed, and says what must be answered."""

import gzip
import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskmill.images import decode, labels
from maskmill.settings.config import STRICT, Data, Decoding
from maskmill.system.errors import MaskmillError
from tests.bad_inputs import build

Rng = np.random.Generator
READ = ""  # the verdict of a file that is odd and good


@dataclass(frozen=True)
class Fault:
    """One class of fault."""

    name: str
    make: Callable[[Rng], bytes] | Callable[[Rng, Path], Path]
    said: str  # part of the error; READ where the file must be read
    how: str = "image"  # or mask, or labels: how it is read
    channels: int = 1
    policy: dict[str, Any] = field(default_factory=dict)
    values: dict[Any, str] | None = None
    on_disk: bool = False  # `make` writes the file itself

    def verdict(self, folder: Path, seed: int) -> str:
        """right, or what was wrong.

        A crash, a silent acceptance, a false refusal, or an error that does not name the fault.
        """
        rng = np.random.default_rng(seed)
        if self.on_disk:
            path = self.make(rng, folder)  # type: ignore[call-arg, arg-type]
        else:
            path = folder / f"{self.name.replace(' ', '_').replace('/', '_')}-{seed}.png"
            path.write_bytes(self.make(rng))  # type: ignore[call-arg, arg-type]
        try:
            self._read(Path(path))
        except MaskmillError as error:
            text, name = str(error), decode.escape_name(str(path))
            if self.said == READ:
                return f"false refusal: {text}"
            # in one line
            said = text.startswith(f"{name}: ") and self.said in text and text.isprintable()
            return "right" if said else f"wrong words: {text}"
        except Exception as error:
            return f"crash: {type(error).__name__}: {error}"
        return "right" if self.said == READ else "silent acceptance"

    def _read(self, path: Path) -> None:
        decoding = STRICT.model_copy(update=self.policy)
        if self.how == "image":
            decode.image(path, self.channels, decoding)
        elif self.how == "mask":
            decode.mask(path, decoding)
        else:
            labels.read_ids(path, data(decoding, self.values))


FAULTS: list[Fault] = []


def data(decoding: Decoding = STRICT, values: dict[Any, str] | None = None) -> Data:
    """Two classes."""
    return Data(title="", classes=("cell", "membrane"), background="cell", ignore_index=255,
                values=values, colours={"cell": "#000000", "membrane": "#ffffff"}, in_channels=1,
                decoding=decoding)  # fmt: skip


def fault(said: str, name: str = "", **options: Any) -> Callable[[Any], Any]:
    """Add a function to the table by its own name."""

    def add(make: Any) -> Any:
        FAULTS.append(Fault(name or make.__name__.replace("_", " "), make, said, **options))
        return make

    return add


def add(name: str, said: str, make: Any, **options: Any) -> None:
    """Add a row."""
    FAULTS.append(Fault(name, make, said, **options))


def grey(rng: Rng) -> np.ndarray:
    """Noise, which compresses badly, or steps, which compress well; of a random size."""
    height, width = rng.integers(8, 70, 2)
    if rng.random() < 0.5:
        return rng.integers(0, 256, (height, width), np.uint8)
    return (np.add.outer(np.arange(height), 2 * np.arange(width)) % 256).astype(np.uint8)


def rgb(rng: Rng) -> np.ndarray:
    """The same in colours."""
    one = grey(rng)
    return np.stack([one, 255 - one, one // 2], axis=-1)


def _cut(content: bytes, rng: Rng, least: int = 12) -> bytes:
    return content[: int(rng.integers(least, len(content) - 1))]


def _flip(content: bytes, rng: Rng, start: int, end: int) -> bytes:
    out = bytearray(content)
    out[int(rng.integers(start, end))] ^= 1 << int(rng.integers(8))
    return bytes(out)


# --- no image at all
_NO_IMAGE = "not an image by its first bytes"
add("empty file", "an empty file, of 0 bytes", lambda rng: b"")
add("one byte", _NO_IMAGE, lambda rng: rng.bytes(1))
add("garbage", _NO_IMAGE, lambda rng: b"\0" + rng.bytes(int(rng.integers(1, 5000))))
add("text named png", _NO_IMAGE, lambda rng: b"not a picture\n" * int(rng.integers(1, 99)))
add("page of an error", "a web page", lambda rng: b"<!DOCTYPE html><title>404</title>")
add("page of an error after a byte order mark", "a web page",
    lambda rng: b"\xef\xbb\xbf\r\n<html><body>404</body></html>")  # fmt: skip
add(
    "pointer of Git LFS",
    "git lfs pull",
    lambda rng: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
)
add(
    "drawing",
    _NO_IMAGE,
    lambda rng: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
)
add("PDF", _NO_IMAGE, lambda rng: build.encoded(grey(rng), "PDF"))
add("PPM", _NO_IMAGE, lambda rng: build.encoded(grey(rng), "PPM"))
add(
    "icon",
    _NO_IMAGE,
    lambda rng: build.encoded(np.full((32, 32), rng.integers(256), np.uint8), "ICO"),
)
add("JPEG 2000", "JPEG 2000, which is not read", lambda rng: build.encoded(grey(rng), "JPEG2000"))
for _what, _start in {
    "AVIF": b"\0\0\0\x1cftypavif",
    "HEIC": b"\0\0\0\x18ftypheic", "HEIF": b"\0\0\0\x18ftypmif1", "JPEG XL": b"\xff\x0a",
    "DICOM": bytes(128) + b"DICM", "NIfTI": b"\x5c\1\0\0".ljust(344, b"\0") + b"n+1\0",
}.items():  # fmt: skip
    add(_what, f"{_what}, which is not read", lambda rng, start=_start: start + rng.bytes(99))
add("gzip data", "gzip data, such as NIfTI", lambda rng: gzip.compress(rng.bytes(99)))
add("array as image", "NPY by its first bytes", lambda rng: build.npy(grey(rng)))
add("sound in RIFF", _NO_IMAGE, lambda rng: b"RIFF\x24\0\0\0WAVEfmt " + rng.bytes(20))


@fault("a ZIP archive; unpack it")
def zip_archive(rng: Rng) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", build.encoded(grey(rng)))
    return buffer.getvalue()


# --- damaged PNG
_BROKEN = "broken or unreadable"
add("PNG cut anywhere", _BROKEN, lambda rng: _cut(build.encoded(grey(rng)), rng))
add("PNG without end", "IEND", lambda rng: build.encoded(grey(rng))[:-12])
add(
    "PNG bit flip in data",
    "checksum",
    lambda rng: _flip(c := build.encoded(grey(rng)), rng, 41, len(c) - 17),
)
add("PNG bit flip in header", "checksum", lambda rng: _flip(build.encoded(grey(rng)), rng, 16, 29))
add(
    "PNG without data",
    "no IDAT",
    lambda rng: build.encoded(grey(rng))[:33] + build.chunk(b"IEND", b""),
)
add(
    "PNG of a colour type that is none",
    "colour type 5",
    lambda rng: build.png(8, 8, 8, 5, zlib.compress(bytes(80))),
)
add("PNG of no width", "at least one pixel", lambda rng: build.png(0, 8, 8, 0, zlib.compress(b"")))
add(
    "PNG stream that is no zlib",
    _BROKEN,
    lambda rng: build.png(8, 8, 8, 0, b"\xff" + rng.bytes(50)),
)
add(
    "PNG palette missing",
    "PLTE",
    lambda rng: build.png(8, 8, 8, 3, build.png_rows(np.zeros((8, 8), np.uint8))),
)
add("PNG animation", "2 pages", lambda rng: build.animated(grey(rng), "PNG"))


@fault(_BROKEN)
def PNG_rows_missing(rng: Rng) -> bytes:
    pixels = grey(rng)
    rows = zlib.decompress(build.png_rows(pixels))
    return build.png(
        pixels.shape[1], len(pixels), 8, 0, zlib.compress(rows[: int(rng.integers(1, len(rows)))])
    )


@fault(_BROKEN)
def PNG_palette_rows_missing(rng: Rng) -> bytes:
    pixels = grey(rng) % 4
    rows = zlib.decompress(build.png_rows(pixels))
    colours = build.chunk(b"PLTE", bytes(range(12)))
    return build.png(
        pixels.shape[1], len(pixels), 8, 3, zlib.compress(rows[: len(rows) // 2]), colours
    )


@fault(_BROKEN)
def PNG_checksum_of_pixels(rng: Rng) -> bytes:
    pixels = grey(rng)
    stream = build.png_rows(pixels)
    return build.png(pixels.shape[1], len(pixels), 8, 0, stream[:-1] + bytes([stream[-1] ^ 1]))


@fault("only IHDR")
def PNG_two_headers(rng: Rng) -> bytes:
    content = build.encoded(grey(rng))
    return (
        content[:33]
        + build.chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
        + content[33:]
    )


@fault("not in its palette", channels=3)
def PNG_palette_too_short(rng: Rng) -> bytes:
    pixels = np.full((8, 8), rng.integers(3, 200), np.uint8)
    return build.png(8, 8, 8, 3, build.png_rows(pixels), build.chunk(b"PLTE", bytes(9)))


def _wide(rng: Rng) -> np.ndarray:
    return rng.integers(0, 65536, (20, 30), np.uint16)


_RANGE = {"value_range": (0.0, 65535.0)}
add(
    "16-bit PNG rows missing",
    _BROKEN,
    lambda rng: build.png(30, 21, 16, 0, build.png_rows(_wide(rng))),
    policy=_RANGE,
)
add(
    "16-bit PNG stream cut",
    _BROKEN,
    lambda rng: build.png(30, 20, 16, 0, build.png_rows(_wide(rng))[:-9]),
    policy=_RANGE,
)
add(
    "16-bit PNG filter",
    "filter",
    lambda rng: build.png(30, 20, 16, 0, zlib.compress(b"\x07" + bytes(1219))),
    policy=_RANGE,
)
add("PNG filter", _BROKEN, lambda rng: build.png(30, 20, 8, 0, zlib.compress(b"\x07" + bytes(619))))
add(
    "PNG of an unknown interlacing",
    "interlacing",
    lambda rng: build.png_method(int(rng.integers(2, 256))),
)

# --- bombs
add(
    "bomb of 20000 x 20000",
    "max_pixels",
    lambda rng: build.png(20000, 20000, 8, 0, zlib.compress(bytes(99))),
)
add(
    "bomb of 2^31 px a side",
    "max_side_px",
    lambda rng: build.png(2**31 - 1, 2**31 - 1, 8, 2, zlib.compress(b"")),
)
add(
    "bomb of a million to one",
    "max_ratio",
    lambda rng: build.png(9999, 9999, 8, 0, zlib.compress(bytes(9999))),
)
add(
    "bomb as TIFF",
    "max_pixels",
    lambda rng: build.with_tag(build.with_tag(build.tiff(grey(rng)), 256, 60000), 257, 60000),
)
add(
    "bomb as GIF",
    "max_pixels",
    lambda rng: b"GIF89a\xff\xff\xff\xff" + build.encoded(grey(rng), "GIF")[10:],
)
add(
    "bomb as WebP",
    "max_pixels",
    lambda rng: b"RIFF\x1e\0\0\0WEBPVP8L\x11\0\0\0\x2f\xff\xff\xff\x0f" + bytes(13),
)


@fault("max_pixels")
def bomb_as_JPEG(rng: Rng) -> bytes:
    content = bytearray(build.encoded(grey(rng), "JPEG"))
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 60000, 60000)
    return bytes(content)


@fault("may have 1024 px")
def TIFF_of_huge_tiles(rng: Rng) -> bytes:
    return build.with_tag(build.tiff(grey(rng), tile=(16, 16)), 322, 65520)


# --- damaged JPEG
_NOISE = lambda rng: rng.integers(0, 256, (64, 64, 3), np.uint8)  # noqa: E731
_EOI = b"\xff\xd9"
add(
    "JPEG cut anywhere",
    _BROKEN,
    lambda rng: _cut(build.encoded(_NOISE(rng), "JPEG"), rng, 3),
    channels=3,
)
add(
    "half a JPEG",
    _BROKEN,
    lambda rng: (c := build.encoded(_NOISE(rng), "JPEG"))[: len(c) // 2],
    channels=3,
)
add("JPEG without end", "EOI", lambda rng: build.encoded(grey(rng), "JPEG")[:-2])
add("progressive JPEG cut", _BROKEN,
    lambda rng: _cut(build.encoded(_NOISE(rng), "JPEG", progressive=True), rng, 3),
    channels=3)  # fmt: skip
add("JPEG of 12 bits", "12 bits", lambda rng: _jpeg_byte(rng, 4, 12))
add("JPEG of no height", "at least one pixel", lambda rng: _jpeg_byte(_jpeg_byte(rng, 5, 0), 6, 0))
add("JPEG of arithmetic codes", "SOF9", lambda rng: _jpeg_byte(rng, 1, 0xC9))
add("JPEG scan of no header", "header of a scan",
    lambda rng: build.encoded(grey(rng), "JPEG").split(b"\xff\xda")[0]
    + b"\xff\xda\0\3\1" + _EOI)  # fmt: skip
add(
    "JPEG without scan",
    _BROKEN,
    lambda rng: build.encoded(grey(rng), "JPEG").split(b"\xff\xda")[0] + _EOI,
)
add(
    "CMYK",
    "CMYK is refused",
    lambda rng: build.encoded(Image.fromarray(rgb(rng)).convert("CMYK"), "JPEG"),
    channels=3,
)


def _jpeg_byte(source: Rng | bytes, place: int, value: int) -> bytes:
    content = bytearray(
        source if isinstance(source, bytes) else build.encoded(grey(source), "JPEG")
    )
    content[content.index(b"\xff\xc0\0\x0b") + place] = value
    return bytes(content)


def _half(rng: Rng, **options: Any) -> bytes:
    content = build.encoded(_NOISE(rng), "JPEG", **options)
    start = content.rindex(b"\xff\xda") + 14
    return content[: int(rng.integers(start + 10, len(content) - 60))].rstrip(b"\xff") + _EOI


add("half a JPEG with an end", _BROKEN, _half, channels=3)
add(
    "half a JPEG of restarts with an end",
    _BROKEN,
    lambda rng: _half(rng, restart_marker_blocks=2),
    channels=3,
)
add(
    "half a progressive JPEG with an end",
    _BROKEN,
    lambda rng: _half(rng, progressive=True),
    channels=3,
)


@fault(_BROKEN, channels=3)
def JPEG_with_zeros_for_its_end(rng: Rng) -> bytes:
    content = build.encoded(_NOISE(rng), "JPEG")
    kept = int(rng.integers(len(content) // 2, len(content) - 2))
    return content[:kept].ljust(len(content), b"\0")


@fault(_BROKEN, channels=3)
def progressive_JPEG_of_missing_scans(rng: Rng) -> bytes:
    content = build.encoded(_NOISE(rng), "JPEG", progressive=True)
    return content[: content.rindex(b"\xff\xda")] + _EOI


# --- damaged TIFF
add("TIFF cut anywhere", _BROKEN, lambda rng: _cut(build.encoded(grey(rng), "TIFF"), rng))
add(
    "TIFF strip outside",
    "strips or tiles are missing",
    lambda rng: build.with_tag(build.tiff(grey(rng)), 273, 10**7),
)
add(
    "TIFF strip of no bytes",
    "strips or tiles are missing",
    lambda rng: build.with_tag(build.tiff(grey(rng)), 279, 0),
)
add("TIFF strip too short", "cut off", lambda rng: build.with_tag(build.tiff(grey(rng)), 279, 20))
add("TIFF pages in a circle", "circle", lambda rng: _circle(build.tiff(grey(rng))))
for _colour in (0, 1):
    add(
        f"Group 4 TIFF cut with a fitting length, photometric {_colour}",
        "CCITT Group 4 data",
        lambda rng, colour=_colour: _short_fax(rng, colour),
    )
    add(
        f"Group 4 TIFF that ends in zeros, photometric {_colour}",
        _BROKEN,
        lambda rng, colour=_colour: _zeroed_fax(rng, colour),
    )
add(
    "TIFF of reversed bits",
    "fill order 2",
    lambda rng: build.group4(grey(rng) > 99, fill_order=2),
)
add("TIFF without page", "no page", lambda rng: b"II*\0\0\0\0\0" + rng.bytes(50))
add(
    "TIFF directory outside",
    _BROKEN,
    lambda rng: b"II*\0" + struct.pack("<I", 10**8) + rng.bytes(50),
)
add(
    "TIFF of unknown compression",
    "compression 34712",
    lambda rng: build.with_tag(build.tiff(grey(rng)), 259, 34712),
)
add("TIFF of several pages", "3 pages", lambda rng: build.pages(grey(rng), 3))
add("TIFF of floats", "value_range", lambda rng: build.tiff(grey(rng).astype(np.float32)))
add("TIFF of signed numbers", "value_range", lambda rng: build.tiff(grey(rng).astype(np.int16)))
add("TIFF of signed bytes", "value_range", lambda rng: build.tiff(grey(rng).view(np.int8)))
add("TIFF of bands", "name the bands", lambda rng: build.tiff(_five(rng)), channels=3)
add("TIFF band that is not there", "band 6", lambda rng: build.tiff(_five(rng)),
    channels=3, policy={"bands": (1, 2, 6)})  # fmt: skip
add("TIFF with weighted colours", "weighted",
    lambda rng: build.tiff(rng.integers(0, 256, (20, 30, 4), np.uint8),
                           extrasamples=["assocalpha"]),
    channels=3, policy={"alpha": "drop"})  # fmt: skip
for _codec in ("lzw", "zlib", "packbits", "zstd"):
    add(f"TIFF {_codec} strip cut", _BROKEN, lambda rng, codec=_codec: _short_strip(rng, codec))
for _value in (np.nan, np.inf, -np.inf):
    add(f"TIFF with {_value}", "NaN or infinite", lambda rng, value=_value: _float(rng, value),
        policy={"value_range": (0.0, 1.0)})  # fmt: skip


def _one_clear(rng: Rng, shape: tuple[int, ...], full: int = 255) -> np.ndarray:
    """Alpha of which one pixel is not opaque."""
    alpha = np.full(shape, full, np.uint16 if full > 255 else np.uint8)
    alpha[tuple(rng.integers(0, side) for side in shape)] = 0 if full == 1 else full - 1
    return alpha


def _five(rng: Rng) -> np.ndarray:
    return rng.integers(0, 256, (20, 30, 5), np.uint8)


def _circle(content: bytes) -> bytes:
    (first,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, first)
    return (
        content[: first + 2 + 12 * count]
        + struct.pack("<I", first)
        + content[first + 6 + 12 * count :]
    )


def _short_strip(rng: Rng, codec: str) -> bytes:
    content = build.tiff(rng.integers(0, 256, (40, 40), np.uint8), compression=codec)
    return build.with_tag(content, 279, 300)


def _fax(rng: Rng, colour: int) -> tuple[bytes, int, int]:
    """A file of one strip, where the strip begins and how many bytes it has."""
    content = build.group4(rng.random((40, 40)) < 0.5, photometric=colour)
    (at,), (size,) = build.tag_values(content, 273), build.tag_values(content, 279)
    return content, at, size


def _short_fax(rng: Rng, colour: int) -> bytes:
    content, _, size = _fax(rng, colour)
    return build.with_tag(content, 279, int(rng.integers(1, size - 4)))


def _zeroed_fax(rng: Rng, colour: int) -> bytes:
    content, at, size = _fax(rng, colour)
    kept = at + int(rng.integers(0, size - 4))
    return content[:kept] + bytes(at + size - kept) + content[at + size :]


def _float(rng: Rng, value: float) -> bytes:
    pixels = rng.random((20, 30), np.float32)
    pixels[tuple(rng.integers(0, 20, 2))] = value
    return build.tiff(pixels)


def _short_gif(rng: Rng) -> bytes:
    content = build.encoded(rng.integers(0, 256, (60, 60), np.uint8), "GIF")
    # first part of the frame's data; each holds up to 255 bytes
    start = content.index(b",", 13 + 768) + 11
    return content[: start + 256] + b"\0;"


# --- damaged BMP, WebP, GIF
add("BMP cut", _BROKEN, lambda rng: _cut(build.encoded(grey(rng), "BMP"), rng, 20))
add(
    "BMP compressed",
    "compression 1",
    lambda rng: (c := build.encoded(grey(rng), "BMP"))[:30] + b"\1\0\0\0" + c[34:],
)
add("BMP of negative width", "at least one pixel",
    lambda rng: (c := build.encoded(grey(rng), "BMP"))[:18]
    + struct.pack("<i", -8) + c[22:])  # fmt: skip
add("WebP cut", _BROKEN, lambda rng: _cut(build.encoded(rgb(rng), "WEBP"), rng), channels=3)
add("WebP animation", "2 pages", lambda rng: build.animated(rgb(rng), "WEBP"), channels=3)
add("GIF cut", _BROKEN, lambda rng: _cut(build.encoded(grey(rng), "GIF"), rng, 10))
add("GIF without end", _BROKEN, lambda rng: build.encoded(grey(rng), "GIF")[:-1])
add("GIF of half a frame", "covers", lambda rng: _larger_gif(build.encoded(grey(rng), "GIF")))
add("GIF data that end early", _BROKEN, _short_gif)


@fault(_BROKEN, channels=3)
def WebP_cut_with_a_fitting_length(rng: Rng) -> bytes:
    content = bytearray(
        _cut(build.encoded(_NOISE(rng), "WEBP", lossless=bool(rng.integers(2))), rng, 100)
    )
    struct.pack_into("<I", content, 4, len(content) - 8)
    struct.pack_into("<I", content, 16, len(content) - 20)
    return bytes(content)


def _larger_gif(content: bytes) -> bytes:
    width, height = struct.unpack_from("<HH", content, 6)
    return content[:6] + struct.pack("<HH", width + 1, height + 1) + content[10:]


# --- good files that the policy does not take
add("16 bits", "value_range", lambda rng: build.png16(rng.integers(0, 65536, (20, 30), np.uint16)))
add(
    "16-bit colours",
    "value_range",
    lambda rng: build.png16(rng.integers(0, 65536, (9, 9, 3), np.uint16)),
    channels=3,
)
add("alpha", "alpha is refused",
    lambda rng: build.encoded(np.dstack([rgb(rng)[:8, :8], np.zeros((8, 8), np.uint8)])),
    channels=3)  # fmt: skip
add(
    "grey with alpha",
    "alpha is refused",
    lambda rng: build.encoded(np.dstack([one := grey(rng), _one_clear(rng, one.shape)])),
)
add(
    "16-bit colours with alpha",
    "1 pixels that are not opaque; alpha is refused",
    lambda rng: build.png16(
        np.dstack([rng.integers(0, 65536, (9, 9, 3), np.uint16), _one_clear(rng, (9, 9), 65535)])
    ),
    channels=3,
    policy={"value_range": (0.0, 65535.0)},
)
add(
    "float grey with alpha",
    "1 pixels that are not opaque; alpha is refused",
    lambda rng: build.tiff(
        np.dstack([rng.random((9, 9)), _one_clear(rng, (9, 9), 1)]).astype(np.float32),
        extrasamples=["unassalpha"],
    ),
    policy={"value_range": (0.0, 1.0)},
)
add(
    "weighted colours that are not opaque",
    "allowed are white and black",
    lambda rng: build.tiff(
        np.dstack([rgb(rng)[:8, :8], _one_clear(rng, (8, 8))]), extrasamples=["assocalpha"]
    ),
    channels=3,
)
add(
    "one transparent grey", "alpha is refused", lambda rng: build.encoded(grey(rng), transparency=3)
)
add("transparent palette", "alpha is refused",
    lambda rng: build.encoded(Image.fromarray(rgb(rng)).quantize(9), transparency=0),
    channels=3)  # fmt: skip
add("transparent GIF", "alpha is refused",
    lambda rng: build.encoded(Image.fromarray(rgb(rng)).quantize(9), "GIF", transparency=0),
    channels=3)  # fmt: skip
add("colours for one channel", "data.in_channels is 1", lambda rng: build.encoded(rgb(rng)))
add("palette of colours for one channel", "data.in_channels is 1",
    lambda rng: build.encoded(Image.fromarray(rgb(rng)).quantize(9)))  # fmt: skip
add(
    "turned by EXIF",
    "orientation is 6",
    lambda rng: build.turned(grey(rng), 6),
    policy={"exif": "refuse"},
)
add(
    "turned by EXIF, JPEG",
    "orientation is 3",
    lambda rng: build.turned(grey(rng), 3, "JPEG"),
    policy={"exif": "refuse"},
)

# --- masks
add("JPEG mask", "changes ids", lambda rng: build.encoded(grey(rng), "JPEG"), how="mask")
add(
    "lossy WebP mask",
    "changes ids",
    lambda rng: build.encoded(rgb(rng), "WEBP", quality=90),
    how="mask",
)
add("GIF mask", "number the colours anew", lambda rng: build.encoded(grey(rng), "GIF"), how="mask")
add("transparent colour mask", "transparent pixels", how="mask",
    make=lambda rng: build.encoded(rng.integers(0, 255, (9, 9, 4), np.uint8)))  # fmt: skip
add(
    "mask of fractions",
    "allowed are whole numbers from 0 to 65535, and negative ones or NaN for no data",
    lambda rng: build.tiff(grey(rng).astype(np.float32) + np.float32(0.5)),
    how="mask",
)
add(
    "mask of infinite numbers",
    "the value inf in a mask",
    lambda rng: build.npy(np.where(np.eye(9), np.inf, 1).astype(np.float32)),
    how="mask",
)
add(
    "clear pixel in a float mask",
    "1 transparent pixels in a mask",
    lambda rng: build.tiff(
        np.dstack([np.ones((9, 9)), _one_clear(rng, (9, 9), 1)]).astype(np.float32),
        extrasamples=["unassalpha"],
    ),
    how="mask",
)
add(
    "mask of 16-bit colours",
    "whole number",
    lambda rng: build.png16(rng.integers(0, 9, (9, 9, 3), np.uint16)),
    how="mask",
)
add(
    "pickle in an array",
    "2-D arrays of numbers",
    lambda rng: build.npy(np.array([[print]], object), allow_pickle=True),
    how="mask",
)
add("array of three dimensions", "2-D", lambda rng: build.npy(rgb(rng)), how="mask")
add("array of fractions", "whole numbers", lambda rng: build.npy(rng.random((9, 9))), how="mask")
add("array cut", "cut off", lambda rng: _cut(build.npy(grey(rng)), rng, 130), how="mask")
add(
    "array with code for a header",
    _BROKEN,
    lambda rng: b"\x93NUMPY\1\0\x20\0" + b"__import__('os').abort()".ljust(32),
    how="mask",
)
add(
    "array with a header of 14,000 bytes",
    _BROKEN,
    lambda rng: b"\x93NUMPY\1\0" + (14_000).to_bytes(2, "little") + b"{}".ljust(14_000),
    how="mask",
)
add(
    "array bomb",
    "max_",
    lambda rng: build.npy(np.zeros((1, 1), np.uint8)).replace(b"(1, 1)", b"(99999, 99999)")[:200],
    how="mask",
)
add(
    "ids beyond 16 bits",
    "the value ",
    lambda rng: build.npy(grey(rng).astype(np.int64) + 65536),
    how="mask",
)
add("ids of no class", "values without a meaning: 7 ",
    lambda rng: build.encoded(np.full((9, 9), 7, np.uint8)), how="labels")  # fmt: skip
add("anti-aliased edge", "values without a meaning: ", values={0: "cell", 255: "membrane"},
    how="labels", make=lambda rng: build.encoded(
        Image.fromarray(np.tile(np.uint8([0, 255]), (9, 5))).resize((31, 31))))  # fmt: skip
add("colours for numbers", "a mask of colours", lambda rng: build.encoded(rgb(rng)), how="labels")
add("unknown colours", "values without a meaning: #010203",
    lambda rng: build.encoded(np.full((9, 9, 3), (1, 2, 3), np.uint8)), how="labels",
    values={"#000000": "cell", "#ffffff": "membrane"})  # fmt: skip
add("16-bit ids above 255", "values without a meaning: 300 ",
    lambda rng: build.png16(np.full((9, 9), 300, np.uint16)), how="labels")  # fmt: skip


# --- what is no file
def _path(rng: Rng, folder: Path, name: str) -> Path:
    return folder / f"{name}-{rng.integers(10**9)}"


def _place(name: str, said: str) -> Callable[[Callable[[Path], None]], None]:
    def register(create: Callable[[Path], None]) -> None:
        def make(rng: Rng, folder: Path) -> Path:
            path = _path(rng, folder, name.replace(" ", "_"))
            create(path)
            return path

        add(name, said, make, on_disk=True)

    return register


def _inside_file(rng: Rng, folder: Path) -> Path:
    path = _path(rng, folder, "file")
    path.write_bytes(build.encoded(grey(rng)))
    return path / "image.png"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the address of a socket has 107 bytes at most
        try:
            made.bind(path.name)
        finally:
            os.chdir(here)


_place("missing file", "no such file")(lambda path: None)
_place("folder", "a folder")(lambda path: path.mkdir())
_place("pipe", "a pipe")(os.mkfifo)
_place("socket", "a socket")(_socket)
_place("device", "a device")(lambda path: path.symlink_to("/dev/zero"))
_place("link in a circle", "cannot be read")(lambda path: path.symlink_to(path.name))
_place("link to nothing", "no such file")(lambda path: path.symlink_to("nothing"))
_place("2 GB file", "max_file_mb")(lambda path: _sparse(path, 2 * 10**9))
add("file as a folder", "cannot be read", _inside_file, on_disk=True)
add("NUL in a name", "cannot be read", lambda rng, folder: folder / "a\0b.png", on_disk=True)
add("name of 300 bytes", "cannot be read", lambda rng, folder: folder / ("n" * 300), on_disk=True)


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


# --- odd and good
_NAMES = {
    "name not in ASCII": "médicale-画像-🧠.png", "name decomposed": "e\u0301.png",
    "name composed": "\u00e9.png", "name of two lines": "first\nsecond.png",
    "name of 255 bytes": "n" * 251 + ".png", "name of a dash": "-rf.png",
    "name of a wrong kind": "a.jpg", "name that is no text": "bytes-\udcff.png",
    "name that colours": "\x1b[31mred.png", "name of spaces": " a b .png",
}  # fmt: skip
for _what, _name in _NAMES.items():

    def _named(rng: Rng, folder: Path, name: str = _name) -> Path:
        (folder / name).write_bytes(build.encoded(grey(rng)))
        return folder / name

    def _named_garbage(rng: Rng, folder: Path, name: str = _name) -> Path:
        (folder / name).write_bytes(b"\0" + rng.bytes(9))
        return folder / name

    add(_what, READ, _named, on_disk=True)
    add(f"{_what}, of garbage", _NO_IMAGE, _named_garbage, on_disk=True)
for _form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"):
    add(
        f"{_form} with more behind it",
        READ,
        lambda rng, form=_form: build.encoded(grey(rng), form) + rng.bytes(99),
        channels=3,
    )
