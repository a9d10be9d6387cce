"""What the files of all pairs hold: sizes, channels, stored values; every mask is read once."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from maskmill.images import decode, policy
from maskmill.images.formats.header import Header
from maskmill.importing.meaning import Value
from maskmill.settings.config import Decoding
from maskmill.sources import Pair
from maskmill.system.errors import MaskmillError

THUMBNAIL_PX = 16
MAX_VALUES = 4096  # stored in all masks; no table of classes has as many


@dataclass
class FolderContents:
    """Counts over all pairs."""

    values: Counter[Value] = field(default_factory=Counter)  # stored value or #rrggbb -> pixels
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # height, width -> images
    # name, and what the file says of its pixels
    images: list[tuple[str, Header]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    coloured: list[str] = field(default_factory=list)  # masks of colours
    plain: list[str] = field(default_factory=list)  # masks of one value per pixel

    @property
    def bands(self) -> list[int] | None:
        """Return all bands, from 1, where files have bands without a colour of their own.

        Where files differ in their number, it is the commonest one.
        """
        counts = Counter(header.bands for _, header in self.images if header.colour == "bands")
        return list(range(1, counts.most_common(1)[0][0] + 1)) if counts else None

    @property
    def in_channels(self) -> int:
        """The number of bands, else 3 where some images are in colour, 1 where all are grey."""
        coloured = any(header.palette or header.colour != "grey" for _, header in self.images)
        return len(self.bands or ()) or (3 if coloured else 1)

    def refused(self, channels: int, decoding: Decoding) -> dict[str, list[str]]:
        """Why the decoder will not take images -> the images."""
        why: dict[str, list[str]] = {}
        for name, header in self.images:
            if reason := policy.image_refused(header, channels, decoding):
                why.setdefault(reason, []).append(name)
        return why

    def smaller(self, side: float) -> list[str]:
        """The images with a side below that many pixels."""
        return [name for name, header in self.images if min(header.height, header.width) < side]


def read(pairs: Sequence[Pair], decoding: Decoding) -> FolderContents:
    """Read all masks, and the headers of all images.

    Raises: MaskmillError when no mask can be read, or they hold more values than classes can have.
    """
    found = FolderContents()
    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        read = pool.map(lambda pair: _read(pair, decoding), pairs)
        for pair, (header, stored, errors) in tqdm(
            zip(pairs, read, strict=True),
            "reading masks",
            total=len(pairs),
            unit="pair",
            disable=None,
        ):
            found.broken += errors
            if header is not None:
                turned = header.orientation >= 5 and decoding.exif == "upright"
                found.sizes[
                    (header.width, header.height) if turned else (header.height, header.width)
                ] += 1
                found.images.append((str(pair.image), header))
            if stored is not None:
                found.values.update(stored)
                _check_few(len(found.values), f"{pair.mask}: up to this mask there are")
                coloured = any(isinstance(value, str) for value in stored)
                (found.coloured if coloured else found.plain).append(str(pair.mask))
    if not found.values:
        listed = "\n".join(found.broken[:20]) or "there is none"
        raise MaskmillError(f"no mask could be read:\n{listed}")
    if found.coloured and found.plain and any(isinstance(pair.mask, Path) for pair in pairs):
        raise MaskmillError(
            f"{len(found.coloured)} masks hold colours ({found.coloured[0]}), {len(found.plain)}"
            f" hold one value per pixel ({found.plain[0]}); bring all to one form"
        )
    return found


def thumbnail(image: Path, channels: int, decoding: Decoding) -> np.ndarray:
    """The image as 16 x 16 grey levels."""
    import cv2

    pixels = decode.image(image, channels, decoding).mean(axis=2)
    small: np.ndarray = cv2.resize(
        pixels, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA
    )
    return small


def _read(pair: Pair, decoding: Decoding) -> tuple[Header | None, Counter[Value] | None, list[str]]:
    header, stored, errors = None, None, []
    try:
        if isinstance(pair.image, Path):
            header = decode.header(pair.image, decoding)
            if header.format not in decode.FORMATS:  # of masks alone
                errors.append(
                    f"{pair.image}: an image as {header.format}; read are"
                    f" {', '.join(decode.FORMATS)}; save it as one of them"
                )
                header = None
    except decode.DecodeError as error:
        errors.append(str(error))
    try:
        if isinstance(pair.mask, Path):
            stored = _count(decode.mask(pair.mask, decoding), f"{pair.mask}: a mask of")
        elif pair.mask is not None:
            stored = _count(pair.mask(), f"the mask of {pair.id}:")
    except decode.DecodeError as error:
        errors.append(str(error))
    return header, stored, errors


def _count(stored: np.ndarray, said: str) -> Counter[Value]:
    if stored.ndim == 2:
        counts = np.bincount(stored.ravel())
        _check_few(int(np.count_nonzero(counts)), said)
        return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})
    codes = stored.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, pixels = np.unique(codes, return_counts=True)
    _check_few(len(found), said)
    return Counter({f"#{code:06x}": int(n) for code, n in zip(found, pixels, strict=True)})


def _check_few(count: int, said: str) -> None:
    if count > MAX_VALUES:
        raise MaskmillError(
            f"{said} {count:,} different values; at most {MAX_VALUES:,} are taken for classes."
            " Photographs, smoothed edges and a number per object make so many: move photographs"
            " to the images, and save masks with one value or colour per class, as PNG, without"
            " smoothing"
        )
