"""What one image, and one mask, holds."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from maskmill.images import decode, pixels
from maskmill.images.formats.header import Header
from maskmill.settings.config import Decoding
from maskmill.sources import Pair
from maskmill.sources._made import ImagePage, MaskPage
from maskmill.system.errors import MaskmillError

Value = int | str  # a stored number, or a colour as #rrggbb
GREY = "\0grey"  # behind the name of a mask of colours that all are grey
MAX_VALUES = 4096  # stored in all masks; no table of classes has as many
_MAX_SHAPES = 512  # values in a mask whose shapes are looked at
_LENIENT = {"mask_alpha": "zero"}


class ImageFacts(NamedTuple):
    """An image's header, size as it is read, and the span of values beyond 8 bits."""

    name: str
    header: Header
    size: tuple[int, int]  # height, width
    span: tuple[float, float] | None
    holes: int  # pixels that are NaN
    clear: bool  # some pixels are not opaque


@dataclass(frozen=True)
class MaskFacts:
    """A mask's stored values."""

    name: str
    values: Counter[Value]
    form: str  # numbers, grey (colours that all are grey), colours
    size: tuple[int, int]  # height, width
    lossy: bool = False
    clear: bool = False  # some pixels are transparent
    no_data: bool = False
    turned: bool = False  # by a camera's flag of its own
    palette: dict[int, str] = field(default_factory=dict)  # index in use -> #rrggbb
    # of masks whose shapes were looked at
    solid: frozenset[Value] = frozenset()  # values that fill 3 x 3 px somewhere
    soft: frozenset[Value] = frozenset()  # the others

    @property
    def numbered(self) -> int | None:
        """K where the values are 0, 1, .., k; None where they are others."""
        top = len(self.values) - 1
        return top if self.form == "numbers" and set(self.values) == set(range(top + 1)) else None


def read_image(pair: Pair, decoding: Decoding) -> tuple[ImageFacts | None, list[str]]:
    """The facts of the pair's image, and what is wrong with it."""
    page = pair.image.page if isinstance(pair.image, ImagePage) else None
    path = pair.image.path if isinstance(pair.image, ImagePage) else pair.image
    if not isinstance(path, Path):
        return None, []
    name = str(path) if page is None else f"{path}, page {page + 1}"
    try:
        header = decode.header(path, decoding, page=page)
        if header.format == "NPY":
            kinds = ", ".join(decode.FORMATS)
            return None, [f"{name}: an image as NPY; read are {kinds}; save it as one of them"]
        span, holes, clear = None, 0, False
        if header.bits > 8:
            stored, _ = decode.stored(path, decoding, page=page)
            known = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
            holes = stored.size - known.size
            span = (float(known.min()), float(known.max())) if known.size else None
        if header.alpha and decoding.alpha == "refuse" and decoding.bands is None:
            clear = not _is_opaque(path, name, decoding, page)
    except decode.DecodeError as error:
        return None, [str(error)]
    size = (header.height, header.width)
    if header.orientation >= 5 and decoding.exif == "upright":
        size = (header.width, header.height)
    return ImageFacts(name, header, size, span, holes, clear), []


def read_mask(
    pair: Pair, decoding: Decoding, *, threshold: int | None, by_colour: bool, shapes: bool
) -> tuple[MaskFacts | None, list[str]]:
    """The facts of the pair's mask, and what is wrong with it; `shapes`: look for solid values."""
    try:
        if isinstance(pair.mask, Path | MaskPage):
            return _of_file(pair.mask, decoding, threshold, by_colour, shapes), []
        if pair.mask is not None:
            stored = pair.mask()
            name = f"the mask of {pair.id}"
            return MaskFacts(name, _count(stored, name), "numbers", _size(stored)), []
    except decode.DecodeError as error:
        return None, [str(error)]
    return None, []


def _of_file(
    mask: Path | MaskPage, decoding: Decoding, threshold: int | None, by_colour: bool, shapes: bool
) -> MaskFacts:
    page = mask.page if isinstance(mask, MaskPage) else None
    path = mask.path if isinstance(mask, MaskPage) else mask
    name = str(path)
    # a stack is read once for all its pages
    content = decode.read_bytes(path, decoding) if page is None else path
    header = decode.header(content, decoding, name, page)
    lenient = decoding.model_copy(update=_LENIENT)
    colours = by_colour or header.format == "GIF" or threshold is not None
    stored = decode.mask(content, lenient, name, palette_colours=colours, lossy=True, page=page)
    palette = {}
    if header.palette and not colours:
        palette = _palette(content, name, stored, lenient, page)
    clear = header.alpha and not _is_opaque(content, name, decoding, page)
    no_data = stored.dtype == np.int32 and bool((stored == decode.NO_DATA).any())
    size, form = _size(stored), "numbers"
    if stored.ndim == 3:
        grey = bool((stored[..., :1] == stored).all())
        by_palette = header.format == "GIF" or (by_colour and header.palette)
        form = "grey" if grey and not by_palette else "colours"
        if grey or threshold is not None:
            stored = stored.max(axis=2)
    counts = _count(stored, f"{path}: a mask of")
    if form == "colours" and stored.ndim == 2 and threshold is None:
        counts = Counter({f"#{v:02x}{v:02x}{v:02x}": n for v, n in counts.items()})
    if threshold is not None:
        form = "numbers"
    looked_at = frozenset(counts) if shapes and len(counts) <= _MAX_SHAPES else frozenset()
    solid = _solid(stored, form) if len(looked_at) > 2 else looked_at
    return MaskFacts(
        str(path) if page is None else f"{path}, page {page + 1}",
        counts,
        form,
        size,
        header.lossy,
        clear,
        no_data,
        header.orientation >= 5,
        palette,
        solid,
        looked_at - solid,
    )


def _palette(
    content: Path | bytes, name: str, stored: np.ndarray, decoding: Decoding, page: int | None
) -> dict[int, str]:
    """The colours of the indices in use."""
    shown = decode.mask(content, decoding, name, palette_colours=True, lossy=True, page=page)
    shown = np.repeat(shown[..., None], 3, axis=2) if shown.ndim == 2 else shown
    indices, first = np.unique(stored, return_index=True)
    colours = shown.reshape(-1, 3)[first]
    return {
        int(i): f"#{int(r):02x}{int(g):02x}{int(b):02x}"
        for i, (r, g, b) in zip(indices, colours, strict=True)
    }


def _is_opaque(source: Path | bytes, name: str, decoding: Decoding, page: int | None) -> bool:
    stored, header = decode.stored(source, decoding, name, page)
    return pixels.count_not_opaque(stored, header) == 0


def _solid(stored: np.ndarray, form: str) -> frozenset[Value]:
    """The values that fill 3 x 3 px somewhere: edges that were smoothed do not."""
    import cv2

    codes = _codes(stored) if stored.ndim == 3 else stored.astype(np.int64)
    kernel = np.ones((3, 3), np.uint8)
    found: set[Value] = set()
    for code in np.unique(codes):
        if code != decode.NO_DATA and cv2.erode((codes == code).astype(np.uint8), kernel).any():
            found.add(f"#{int(code):06x}" if form == "colours" else int(code))
    return frozenset(found)


def _codes(stored: np.ndarray) -> np.ndarray:
    weights = np.array([1 << 16, 1 << 8, 1], np.uint32)
    codes: np.ndarray = stored.astype(np.uint32) @ weights
    return codes


def _size(stored: np.ndarray) -> tuple[int, int]:
    return stored.shape[0], stored.shape[1]


def _count(stored: np.ndarray, told: str) -> Counter[Value]:
    """Pixels of each value; NO_DATA is left out."""
    if stored.ndim == 2:
        known = stored[stored != decode.NO_DATA] if stored.dtype == np.int32 else stored
        counts = np.bincount(known.ravel())
        check_few(int(np.count_nonzero(counts)), told)
        return Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})
    found, counted = np.unique(_codes(stored), return_counts=True)
    check_few(len(found), told)
    return Counter({f"#{int(code):06x}": int(n) for code, n in zip(found, counted, strict=True)})


def check_few(count: int, told: str) -> None:
    """Raises: MaskmillError for more values than classes can have."""
    if count > MAX_VALUES:
        raise MaskmillError(
            f"{told} {count:,} different values; at most {MAX_VALUES:,} are taken for classes. "
            "Photographs, smoothed edges and a number per object make so many: move photographs to "
            "the images; masks of two classes are read by --threshold VALUE (1: every number is an "
            "object); others need one value or colour per class, as PNG, without smoothing"
        )
