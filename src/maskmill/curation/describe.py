"""Describe one file for the manifest: its bytes, its header and its pixels.

Each file is read and decoded once.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.curation import duplicates
from maskmill.images import decode, labels
from maskmill.images.digest import pixel_digest
from maskmill.images.moments import moments
from maskmill.settings.config import Data
from maskmill.system import code_digest

Columns = dict[str, Any]
# and the thumbnail, of an image that could be decoded
Described = tuple[Columns, np.ndarray | None]

_LIBRARIES = ("pillow", "imagecodecs", "opencv-python-headless", "numpy")


def describe_image(path: str, data: Data) -> Described:
    """Return the columns of an image, and its thumbnail.

    If it cannot be decoded, the columns are `error` and what is known, and the thumbnail is None.
    """
    columns: Columns = {}
    try:
        raw = decode.read_bytes(Path(path), data.decoding)
        columns |= {"bytes": len(raw), "sha256_file": hashlib.sha256(raw).hexdigest()}
        header = decode.header(raw, data.decoding, path)
        columns |= {
            "format": header.format,
            "dtype": header.dtype,
            "image_orientation": header.orientation,
        }
        pixels = decode.image(raw, data.in_channels, data.decoding, path)
    except decode.DecodeError as error:
        return columns | {"error": str(error)}, None
    # all channels as one, which OpenCV measures several times as fast
    count, sums, squares = moments(pixels.reshape(len(pixels), -1, 1))
    total, square = int(sums[0]), int(squares[0])
    small = duplicates.thumbnail(pixels)
    columns |= {
        "height": pixels.shape[0], "width": pixels.shape[1], "channels": pixels.shape[2],
        "sha256_pixels": pixel_digest(pixels), "mean": total / count,
        "std": max(0, square * count - total**2) ** 0.5 / count,
        "phash": f"{duplicates.phash(small):016x}",
    }  # fmt: skip
    return columns, small


def describe_mask(path: str, data: Data) -> Described:
    """The columns of a mask; where it cannot be decoded, `error` and what is known."""
    columns: Columns = {}
    try:
        raw = decode.read_bytes(Path(path), data.decoding)
        columns["sha256_mask_file"] = hashlib.sha256(raw).hexdigest()
        columns["mask_orientation"] = decode.header(raw, data.decoding, path).orientation
        ids, counts, unknown = labels.class_ids(labels.stored_values(raw, data, path), data, path)
    except decode.DecodeError as error:
        return columns | {"error": str(error)}, None
    pixels = {f"px_{name}": int(counts[i]) for i, name in enumerate(data.classes)}
    without = sum(unknown.values())
    columns |= {
        "mask_height": ids.shape[0], "mask_width": ids.shape[1], "sha256_mask": pixel_digest(ids),
        "ignored_px": ids.size - sum(pixels.values()) - without, "unknown_px": without,
        "unknown_ids": labels.list_values(unknown), **pixels,
    }  # fmt: skip
    return columns, None


def was_read(described: Described) -> bool:
    """Whether a description is of the file's bytes, and not of a failure to get at them."""
    return not {"sha256_file", "sha256_mask_file"}.isdisjoint(described[0])


def description_versions(data: Data) -> tuple[str, str]:
    """Return digests of the settings and code that describe an image and a mask.

    A description follows from them and from the file.
    """
    decoding = data.decoding.model_dump_json()
    return (
        _version("describe_image", [decoding, str(data.in_channels)]),
        _version(
            "describe_mask",
            [
                decoding,
                str(data.classes),
                str(data.values),
                str(data.ignore_index),
                str(data.threshold),
                str(data.nearest_colour),
            ],
        ),
    )


def _version(function: str, settings: list[str]) -> str:
    code = code_digest.digest((__name__, function), ())
    parts = [code, *(version(name) for name in _LIBRARIES), *settings]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
