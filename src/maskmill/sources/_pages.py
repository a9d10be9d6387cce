"""Stacks: files whose pages are images, one group for each stack."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskmill.images import decode
from maskmill.settings.config import Data
from maskmill.sources import Pair, _names
from maskmill.sources._made import ImagePage, MaskPage
from maskmill.system.errors import MaskmillError

if TYPE_CHECKING:
    from maskmill.sources.folder import Files


def pairs(
    found: Sequence["Files"], data: Data, groups: str | None, blocks: int | None
) -> Iterator[Pair]:
    """A pair for each page of each stack.

    Raises: MaskmillError where a stack of images and its masks have not as many pages.
    """
    rows = [row for files in found for row in _rows(files, data)]
    names = [name for name, *_ in rows]
    if groups is None and blocks is None and len(found) > 1:
        places = [(stack, "", page) for _, stack, page, *_ in rows]
    else:
        places = _names.group_names(names, groups, blocks, "data/source.yaml: kind")
    for (name, _, _, split, image, mask), (group, sequence, order) in zip(
        rows, places, strict=True
    ):
        yield Pair(_names.pair_id(name), image, mask, group, order, sequence, split)


def _rows(
    files: "Files", data: Data
) -> Iterator[tuple[str, str, int, str, ImagePage | None, MaskPage | None]]:
    image, mask = files.image, files.masks[0][1] if files.masks else None
    counts = {side: _count(side, data) for side in (image, mask) if side is not None}
    if image and mask and counts[image] != counts[mask]:
        raise MaskmillError(
            f"{image} has {counts[image]} pages, {mask} {counts[mask]}; a page of one belongs to "
            "the same page of the other: export them again"
        )
    for page in range(max(counts.values())):
        yield (
            f"{files.identity}/{page + 1:04d}",
            files.identity,
            page,
            files.split,
            ImagePage(image, page, data) if image else None,
            MaskPage(mask, page, data) if mask else None,
        )


def _count(path: Path, data: Data) -> int:
    return decode.header(path, data.decoding, page=0).pages
