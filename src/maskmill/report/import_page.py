"""The page about an import: what was understood of a folder, and what was not, with pictures.

One offline HTML file; however large the folder, it reads a few pairs and stays below 5 MB.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.images import decode, labels
from maskmill.importing import describe
from maskmill.importing.plan import Plan
from maskmill.report import pictures, templates
from maskmill.settings.config import SPLITS, Data
from maskmill.sources import Pair
from maskmill.sources._made import MaskPage
from maskmill.system import files
from maskmill.system.errors import MaskmillError

_PAIRS = 12
_TILE_PX = 288  # longest side of a picture
_NAMED = 50  # files named of those that are not used
_GROUPS = 60


def write(plan: Plan, path: Path) -> None:
    """Write the page of `plan` to `path`."""
    files.write_text(path, render(plan))


def render(plan: Plan) -> str:
    """The page as HTML; the same plan gives the same text."""
    lines: list[str] = []
    describe.describe_plan(plan, lines.append)
    return templates.load_template("import.html.j2").render(
        plan=plan,
        data=plan.data,
        values=list(describe.value_rows(plan)),
        warnings=describe.plan_warnings(plan),
        rows=[(line[:12].strip(), line[12:]) for line in lines],
        groups=_groups(plan.pairs),
        groups_count=len({pair.group for pair in plan.pairs}),
        splits={name: sum(pair.split == name for pair in plan.pairs) for name in SPLITS},
        samples=list(_samples(plan)),
        named=_NAMED,
    )


def _groups(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """The largest groups: name, images, splits that the source gives."""
    counts = Counter(pair.group for pair in pairs)
    given: dict[str, set[str]] = {}
    for pair in pairs:
        given.setdefault(pair.group, set()).add(pair.split)
    return [
        {"name": name, "images": count, "splits": ", ".join(sorted(given[name] - {""}))}
        for name, count in counts.most_common(_GROUPS)
    ]


def _samples(plan: Plan) -> Iterator[dict[str, str]]:
    """Pairs from all parts of the list: the image with its mask over it, and the mask alone."""
    whole = [pair for pair in plan.pairs if pair.image is not None and pair.mask is not None]
    places = np.unique(np.linspace(0, len(whole) - 1, min(_PAIRS, len(whole))).astype(int))
    data = plan.data
    background = None if data.background is None else data.classes.index(data.background)
    for pair in (whole[place] for place in places):
        row = {"id": pair.id, "error": ""}
        try:
            image, mask = _pixels(pair, data)
        except MaskmillError as error:
            yield row | {"error": str(error)}
            continue
        fits = image.shape[:2] == mask.shape
        over = pictures.overlay(image, mask, data.palette, background) if fits else image
        yield row | {
            "image": _photo(image),
            "overlay": _photo(over),
            "mask": pictures.data_uri(
                pictures.shrink_to_fit(pictures.colour_mask(mask, data.palette), _TILE_PX, ids=True)
            ),
        }


def _photo(pixels: np.ndarray) -> str:
    return pictures.photo_uri(pictures.shrink_to_fit(pictures.to_rgb(pixels), _TILE_PX))


def _pixels(pair: Pair, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Read a pair as the new settings have it: (H, W, C) uint8, and (H, W) uint8 ids."""
    image, mask = (
        replace(side, data=data) if is_dataclass(side) and not isinstance(side, type) else side
        for side in (pair.image, pair.mask)
    )
    assert image is not None
    assert mask is not None
    pixels = (
        decode.image(image, data.in_channels, data.decoding) if isinstance(image, Path) else image()
    )
    stored = labels.stored_values(mask, data) if isinstance(mask, Path) else mask()
    if isinstance(mask, Path | MaskPage):
        return pixels, labels.class_ids(stored, data, pair.id).pixels
    return pixels, stored
