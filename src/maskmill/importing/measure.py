"""What the files of all pairs hold: sizes, channels, stored values; every mask is read once."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from maskmill.images import decode, policy
from maskmill.images.formats.header import Header
from maskmill.importing import file_facts
from maskmill.importing.file_facts import ImageFacts, MaskFacts, Value
from maskmill.settings.config import Decoding
from maskmill.sources import Pair
from maskmill.system.errors import MaskmillError

THUMBNAIL_PX = 16
_EDGES_LOOKED_AT = 50  # masks in which the shapes of rare values are looked at


@dataclass
class FolderContents:
    """Counts over all pairs."""

    # of masks
    values: Counter[Value] = field(default_factory=Counter)  # stored value or #rrggbb -> pixels
    holding: Counter[Value] = field(default_factory=Counter)  # the same -> masks that hold it
    pairs_of_values: Counter[tuple[Value, Value]] = field(default_factory=Counter)  # 1 and 255
    solid: set[Value] = field(default_factory=set)  # values that fill 3 x 3 px somewhere
    edges: set[Value] = field(default_factory=set)  # values that are on thin edges in some mask
    numbered: Counter[int] = field(default_factory=Counter)  # k -> masks that hold 0, 1, .., k
    coloured: list[str] = field(default_factory=list)  # masks of colours
    plain: list[str] = field(default_factory=list)  # masks of one value per pixel
    lossy: list[str] = field(default_factory=list)
    clear: list[str] = field(default_factory=list)  # masks with transparent pixels
    no_data: list[str] = field(default_factory=list)  # masks with negative values or NaN
    palettes: dict[int, str] = field(default_factory=dict)  # index -> #rrggbb, of the first file
    palettes_differ: list[str] = field(default_factory=list)
    # of images
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # height, width -> images
    images: list[tuple[str, Header]] = field(default_factory=list)  # name, what the file says
    headers: dict[Header, Header] = field(default_factory=dict)  # each that differs, once
    spans: list[tuple[float, float]] = field(default_factory=list)  # of files beyond 8 bits
    holes: list[str] = field(default_factory=list)  # images with NaN
    see_through: list[str] = field(default_factory=list)  # images that are not opaque
    turned: list[str] = field(default_factory=list)  # whose camera's flag their mask has not
    # of both
    broken: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)  # pairs of two sizes, in words
    readable: int = 0  # pairs

    @property
    def bands(self) -> list[int] | None:
        """All bands, from 1, where files have bands without a colour of their own.

        They are those of the commonest number of them.
        """
        counts = Counter(header.bands for _, header in self.images if header.colour == "bands")
        return list(range(1, counts.most_common(1)[0][0] + 1)) if counts else None

    @property
    def in_channels(self) -> int:
        """The number of bands, else 3 where some images are in colour, 1 where all are grey."""
        coloured = any(header.palette or header.colour != "grey" for _, header in self.images)
        return len(self.bands or ()) or (3 if coloured else 1)

    @property
    def span(self) -> tuple[float, float] | None:
        """The least and the largest value of images of more than 8 bits; None without such."""
        if not self.spans:
            return None
        return min(low for low, _ in self.spans), max(high for _, high in self.spans)

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


def measure(
    pairs: Sequence[Pair],
    decoding: Decoding,
    *,
    threshold: int | None = None,
    by_colour: bool = False,
) -> FolderContents:
    """Read all masks, the headers of all images, and the pixels of those beyond 8 bits.

    `threshold`: masks are measured by their brightest channel; `by_colour`: palettes by their
    colours.
    Raises: MaskmillError where masks hold more values than classes can have.
    """
    found = FolderContents()
    looked_at = {pair.id for pair in pairs[:: 1 + len(pairs) // _EDGES_LOOKED_AT]}

    def read(pair: Pair) -> tuple[ImageFacts | None, MaskFacts | None, list[str]]:
        image, errors = file_facts.read_image(pair, decoding)
        mask, more = file_facts.read_mask(
            pair, decoding, threshold=threshold, by_colour=by_colour, shapes=pair.id in looked_at
        )
        return image, mask, errors + more

    with ThreadPoolExecutor(min(16, 2 * (os.cpu_count() or 1))) as pool:
        facts = pool.map(read, pairs)
        for pair, (image, mask, errors) in tqdm(
            zip(pairs, facts, strict=True),
            "reading masks",
            total=len(pairs),
            unit="pair",
            disable=None,
        ):
            found.broken += errors
            if image is not None:
                _take_image(found, image)
            if mask is not None:
                _take_mask(found, mask)
            if image is not None and mask is not None:
                _take_pair(found, pair, image, mask)
    return _one_form(found)


def _take_image(found: FolderContents, image: ImageFacts) -> None:
    found.sizes[image.size] += 1
    header = found.headers.setdefault(image.header, image.header)  # most files have one
    found.images.append((image.name, header))
    if image.span is not None:
        found.spans.append(image.span)
    if image.holes:
        found.holes.append(image.name)
    if image.clear:
        found.see_through.append(image.name)


def _take_mask(found: FolderContents, mask: MaskFacts) -> None:
    found.values.update(mask.values)
    file_facts.check_few(len(found.values), f"{mask.name}: up to this mask there are")
    found.holding.update(mask.values.keys())
    if {1, 255} <= mask.values.keys():
        found.pairs_of_values[1, 255] += 1
    found.solid |= mask.solid
    found.edges |= mask.soft
    if (top := mask.numbered) is not None:
        found.numbered[top] += 1
    (found.coloured if mask.form == "colours" else found.plain).append(mask.name)
    if mask.form == "grey":
        found.plain[-1] += file_facts.GREY
    for listed, holds in (
        (found.lossy, mask.lossy),
        (found.clear, mask.clear),
        (found.no_data, mask.no_data),
    ):
        if holds:
            listed.append(mask.name)
    for index, colour in mask.palette.items():
        if found.palettes.setdefault(index, colour) != colour and (
            found.palettes_differ[-1:] != [mask.name]
        ):
            found.palettes_differ.append(mask.name)


def _take_pair(found: FolderContents, pair: Pair, image: ImageFacts, mask: MaskFacts) -> None:
    found.readable += 1
    if image.size != mask.size and mask.size:
        (height, width), (mask_height, mask_width) = image.size, mask.size
        found.unlike.append(
            f"{image.name} is {width} x {height}, its mask {mask_width} x {mask_height}"
        )
    if image.header.orientation >= 5 and isinstance(pair.mask, Path) and not mask.turned:
        found.turned.append(image.name)


def _one_form(found: FolderContents) -> FolderContents:
    """Grey values as colours where other masks are of colours.

    Raises: MaskmillError where masks of one value per pixel stand beside masks of colours.
    """
    grey = [name for name in found.plain if name.endswith(file_facts.GREY)]
    numbers = [name for name in found.plain if not name.endswith(file_facts.GREY)]
    found.plain = [name.removesuffix(file_facts.GREY) for name in found.plain]
    if not found.coloured:
        return found
    if numbers:
        raise MaskmillError(
            f"{len(found.coloured)} masks hold colours ({found.coloured[0]}), {len(numbers)} "
            f"hold one value per pixel ({numbers[0]}); bring all to one form"
        )
    for counts in (found.values, found.holding):
        for value in [value for value in counts if isinstance(value, int)]:
            counts[_as_colour(value)] += counts.pop(value)
    found.solid = {_as_colour(value) for value in found.solid}
    found.edges = {_as_colour(value) for value in found.edges}
    found.coloured += [name.removesuffix(file_facts.GREY) for name in grey]
    found.plain = []
    return found


def _as_colour(value: Value) -> Value:
    return f"#{value:02x}{value:02x}{value:02x}" if isinstance(value, int) else value


def thumbnail(image: Path, channels: int, decoding: Decoding) -> np.ndarray:
    """Return the image as 16 x 16 grey levels."""
    import cv2

    pixels = decode.image(image, channels, decoding).mean(axis=2)
    small: np.ndarray = cv2.resize(
        pixels, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA
    )
    return small


def share(part: Iterable[int], total: int) -> float:
    """What part of all pixels these are."""
    return sum(part) / max(1, total)
