"""What the files of all pairs hold: sizes, channels, stored values; every mask is read once."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from maskmill.config import Decoding
from maskmill.data import decode
from maskmill.data.datasets import Pair
from maskmill.data.importing.meaning import Value
from maskmill.errors import MaskmillError

THUMBNAIL_PX = 16
_ALPHA = {2: 1, 4: 3}  # bands with alpha -> without


@dataclass
class Contents:
    """Counts over all pairs."""

    values: Counter[Value] = field(default_factory=Counter)  # stored value or #rrggbb -> pixels
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # height, width -> images
    bands: Counter[int] = field(default_factory=Counter)  # channels without alpha -> images
    multi_band: bool = False
    needs: dict[str, list[str]] = field(default_factory=dict)  # setting of data.decoding -> images that need it
    broken: list[str] = field(default_factory=list)
    coloured: list[str] = field(default_factory=list)  # masks of colours
    plain: list[str] = field(default_factory=list)  # masks of one value per pixel

    @property
    def in_channels(self) -> int:
        """1 where all are grey, 3 where some are in colour, else the number of bands."""
        return max(self.bands, default=1) if self.multi_band else 3 if self.bands[3] else 1


def read(pairs: Sequence[Pair], decoding: Decoding) -> Contents:
    """Read all masks, and the headers of all images. Raises: MaskmillError when no mask can be read."""
    found = Contents()
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        read = pool.map(lambda pair: _read(pair, decoding), pairs)
        for pair, (header, stored, errors) in tqdm(
            zip(pairs, read, strict=True), "reading masks", total=len(pairs), unit="pair", disable=None
        ):
            found.broken += errors
            if header is not None:
                _add_image(found, header, str(pair.image), decoding)
            if stored is not None:
                found.values += stored
                coloured = any(isinstance(value, str) for value in stored)
                (found.coloured if coloured else found.plain).append(str(pair.mask))
    if not found.values:
        listed = "\n".join(found.broken[:20]) or "there is none"
        raise MaskmillError(f"no mask could be read:\n{listed}")
    if found.coloured and found.plain and any(isinstance(pair.mask, Path) for pair in pairs):
        raise MaskmillError(
            f"{len(found.coloured)} masks hold colours ({found.coloured[0]}), {len(found.plain)} hold one value "
            f"per pixel ({found.plain[0]}); bring all to one form"
        )
    return found


def thumbnail(image: Path, channels: int, decoding: Decoding) -> np.ndarray:
    """The image as 16 x 16 grey levels."""
    import cv2

    pixels = decode.image(image, channels, decoding).mean(axis=2)
    small: np.ndarray = cv2.resize(pixels, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return small


def _read(pair: Pair, decoding: Decoding) -> tuple[Any, Counter[Value] | None, list[str]]:
    header, stored, errors = None, None, []
    try:
        if isinstance(pair.image, Path):
            header = decode.header(pair.image, decoding)
    except decode.DecodeError as error:
        errors.append(str(error))
    try:
        if isinstance(pair.mask, Path):
            stored = _count(decode.mask(pair.mask, decoding))
        elif pair.mask is not None:
            stored = _count(pair.mask())
    except decode.DecodeError as error:
        errors.append(str(error))
    return header, stored, errors


def _count(stored: np.ndarray) -> Counter[Value]:
    if stored.ndim == 2:
        counts = np.bincount(stored.ravel())
        return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})
    codes = stored.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, pixels = np.unique(codes, return_counts=True)
    return Counter({f"#{code:06x}": int(n) for code, n in zip(found, pixels, strict=True)})


def _add_image(found: Contents, header: Any, name: str, decoding: Decoding) -> None:
    turned = header.orientation >= 5 and decoding.exif == "upright"
    found.sizes[(header.width, header.height) if turned else (header.height, header.width)] += 1
    bands = header.bands
    if header.format == "TIFF" and (bands > 4 or bands == 2):
        found.multi_band = True
    elif bands in _ALPHA:
        key = "cmyk" if header.format == "JPEG" else "alpha"
        if getattr(decoding, key) == "refuse":
            found.needs.setdefault(key, []).append(name)
        bands = 3 if key == "cmyk" else _ALPHA[bands]
    if header.dtype not in ("uint8", "bool") and decoding.value_range is None:
        found.needs.setdefault("value_range", []).append(name)
    found.bands[3 if header.palette else bands] += 1
