"""Images in the formats, depths and bands that cameras, microscopes and satellites give."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.strangers.pictures import (
    Drawn,
    opaque,
    pairs,
    save,
    save_tiff,
    scene,
    times_255,
    write,
)

HEIC = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + b"\0" * 900


def turned_photographs(top: Path) -> Drawn:
    """Half of the photographs lie on their side and have a flag; masks are drawn upright."""
    flag = Image.Exif()
    flag[0x0112] = 6

    def put(image: np.ndarray, path: Path, seed: int) -> None:
        if seed % 2:
            save(path.with_suffix(".jpg"), np.rot90(image), exif=flag)
        else:
            save(path.with_suffix(".jpg"), image)

    return _each(top, put)


def grey_16_bits(top: Path) -> Drawn:
    """PNG of 16 bits, 1,200 to 39,000 in use."""
    return _each(
        top, lambda image, path, _: save(path.with_suffix(".png"), _spread(image, 1200, 39000))
    )


def microscope_12_bits(top: Path) -> Drawn:
    """TIFF of 16 bits, of which a camera fills 12."""
    return _tiffs(top, lambda image: _spread(image, 496, 3520))


def floats_from_0_to_1(top: Path) -> Drawn:
    """TIFF of float32."""
    return _tiffs(top, lambda image: _spread(image, 0, 1).astype(np.float32))


def computed_tomography(top: Path) -> Drawn:
    """TIFF of int16 in Hounsfield units."""
    return _tiffs(top, lambda image: _spread(image, -952, 560))


def satellite_13_bands(top: Path) -> Drawn:
    """TIFF of 13 bands of 16 bits."""
    return _tiffs(
        top,
        lambda image: np.dstack([_spread(image, 120, 4950)] * 13),
        planarconfig="contig",
        photometric="minisblack",
    )


def near_infrared_called_alpha(top: Path) -> Drawn:
    """TIFF of four bands, whose writer called the fourth alpha, as QGIS does."""
    return _tiffs(
        top,
        lambda image: np.dstack([image, image.mean(axis=2).astype(np.uint8)]),
        photometric="rgb",
        extrasamples=["unassalpha"],
    )


def floats_with_holes(top: Path) -> Drawn:
    """TIFF of float32 with NaN where the satellite saw nothing."""

    def holed(image: np.ndarray) -> np.ndarray:
        found = image.astype(np.float32) / 300
        found[:3] = np.nan
        return found

    return _tiffs(top, holed, photometric="rgb")


def opaque_photographs(top: Path) -> Drawn:
    """PNG with an alpha that says nothing."""
    return _each(top, lambda image, path, _: save(path.with_suffix(".png"), opaque(image)))


def heic(top: Path) -> Drawn:
    """A phone's photographs by their first bytes."""
    return _each(top, lambda image, path, _: write(path.with_suffix(".HEIC"), HEIC))


def some_heic(top: Path) -> Drawn:
    """Every fourth photograph as HEIC, the others as JPEG."""

    def put(image: np.ndarray, path: Path, seed: int) -> None:
        if seed % 4 == 0:
            write(path.with_suffix(".HEIC"), HEIC)
        else:
            save(path.with_suffix(".jpg"), image)

    drawn = _each(top, put)
    return {name: made for place, (name, made) in enumerate(drawn.items()) if place % 4}


def avif(top: Path) -> Drawn:
    """AVIF by its first bytes."""
    content = struct.pack(">I", 24) + b"ftypavif" + b"\0" * 900
    return _each(top, lambda image, path, _: write(path.with_suffix(".avif"), content))


def jpeg_xl(top: Path) -> Drawn:
    """JPEG XL by its first bytes."""
    return _each(
        top, lambda image, path, _: write(path.with_suffix(".jxl"), b"\xff\x0a" + bytes(900))
    )


def jpeg_2000(top: Path) -> Drawn:
    """JPEG 2000."""
    return _each(top, lambda image, path, _: save(path.with_suffix(".jp2"), image))


def dicom(top: Path) -> Drawn:
    """DICOM by its first bytes."""
    content = b"\0" * 128 + b"DICM" + b"\0" * 200
    return _each(top, lambda image, path, _: write(path.with_suffix(".dcm"), content))


def nifti(top: Path) -> Drawn:
    """nnU-Net in three dimensions."""
    write(top / "dataset.json", "{}")
    for name in ("imagesTr/liver_001_0000", "labelsTr/liver_001"):
        write(top / f"{name}.nii.gz", b"\x1f\x8b" + b"\0" * 100)
    return {}


def arrays_of_pairs(top: Path) -> Drawn:
    """NPZ with an image and a label each."""
    for seed in range(8):
        made = scene(seed)
        np.savez(top / f"case{seed}.npz", image=made.image, label=made.ids)
    return {}


def arrays_of_images(top: Path) -> Drawn:
    """Images and masks as NPY."""
    for seed in range(8):
        for side, pixels in zip(("images", "masks"), scene(seed), strict=True):
            (top / side).mkdir(exist_ok=True)
            np.save(top / f"{side}/im{seed:03d}.npy", pixels)
    return {}


def jpeg_12_bits(top: Path) -> Drawn:
    """The header of a JPEG of 12 bits."""

    def put(image: np.ndarray, path: Path, _: int) -> None:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG")
        content = bytearray(buffer.getvalue())
        start = content.index(b"\xff\xc0")
        content[start + 1], content[start + 4] = 0xC1, 12
        write(path.with_suffix(".jpg"), bytes(content))

    return _each(top, put)


def an_empty_file(top: Path) -> Drawn:
    """One of the images has no byte."""
    return _with_sixth(top, b"")


def a_web_page(top: Path) -> Drawn:
    """One of the images is the page that said that it is not there."""
    return _with_sixth(top, b"<!DOCTYPE html><html>404</html>")


def lfs_pointers(top: Path) -> Drawn:
    """A clone without `git lfs pull`."""
    oid = "ab" * 32
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n"
    return _each(top, lambda image, path, _: write(path.with_suffix(".png"), pointer))


def _with_sixth(top: Path, content: bytes) -> Drawn:
    drawn = pairs(top)
    write(top / "images/img005.jpg", content)
    return drawn


def _each(top: Path, put: Callable[[np.ndarray, Path, int], None]) -> Drawn:
    """`put` writes an image at a path without ending."""
    drawn: Drawn = {}
    for seed in range(8):
        made, name = scene(seed), f"im{seed:03d}"
        put(made.image, top / f"images/{name}", seed)
        save(top / f"masks/{name}.png", times_255(made.ids))
        drawn[name] = made
    return drawn


def _tiffs(top: Path, form: Callable[[np.ndarray], np.ndarray], **tags: object) -> Drawn:
    return _each(
        top, lambda image, path, _: save_tiff(path.with_suffix(".tif"), form(image), **tags)
    )


def _spread(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """(H, W) grey, of which the darkest pixel is `low` and the brightest `high`."""
    grey = image.mean(axis=2)
    part = (grey - grey.min()) / (grey.max() - grey.min())
    found: np.ndarray = low + part * (high - low)
    return found if high <= 1 else found.round().astype(np.uint16 if low >= 0 else np.int16)
