"""The page about the data: what they are, what is wrong, and where they leak, with pictures.

One offline HTML file, drawn when the expectations stop the line, when a leak does, and when all is
well. However large the data set, only so many files are read and the page stays below 5 MB.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from maskmill.curation.expectations import Finding
from maskmill.report import data_facts, pictures, templates
from maskmill.settings.config import SPLITS, Data
from maskmill.system import files
from maskmill.system.errors import MaskmillError

if TYPE_CHECKING:
    from maskmill.curation.leakage import Leak

# id -> image (H, W, C), mask (H, W) ids
Read = Callable[[str], tuple[np.ndarray | None, np.ndarray | None] | None]

PAGE, PROBLEMS = "data.html", "problems.html"  # in reports/
_TILE_PX = 256  # longest side of a picture
_PICTURES_BYTES = 4_000_000  # of text, on the whole page
# pictures per finding, pairs per finding, leaks with pictures
_SINGLES, _PAIRS, _LEAKS, _SAMPLES = 6, 4, 12, 12
_LEAKS_NAMED = 200  # on the page; reports/leakage.json names all
_FILES = 100  # named per finding; reports/validation.json names all
_ORDER = {"critical": 0, "warning": 1, "info": 2}
_ADVICE = {
    "images_present": "Add the image, or take the mask out.",
    "masks_present": "Add the mask, or take the image out.",
    "readable": "Write the file anew from its source; a cut-off download looks like this.",
    "names_usable": "Rename the files.",
    "sizes_equal": (
        "An image and its mask must lie on each other pixel for pixel: export the mask at the "
        "image's size."
    ),
    "orientation": (
        "Look whether mask and image lie on each other; if not, turn the pixels and delete the "
        "flags."
    ),
    "ids_known": "Give the values a class, or `ignore`, under data.values; or mend the masks.",
    "ids_unique": "Rename one of the two.",
    "images_unique": "Take all but one out: an image that stands there twice counts twice.",
    "masks_unique": (
        "Look whether the mask belongs to both images; a label that was copied is wrong for one."
    ),
    "masks_filled": "Right where there is nothing to label; else the label is missing.",
    "masks_labelled": "Hardly a pixel takes part: label more of it, or take it out.",
    "images_vary": "A black or blank picture teaches nothing: a camera's cap, a failed export.",
    "classes_present": (
        "It cannot be learned, nor scored: add images that hold it, or take it out of data.classes."
    ),
    "copies": (
        "Copies count twice, and in two splits they make scores too good: keep one, or give them "
        "one group."
    ),
}


@dataclass(frozen=True)
class DataPage:
    """What the page is drawn from."""

    data: Data
    manifest: pd.DataFrame  # with columns `split` ('' = left out) and `fold` once there are splits
    findings: Sequence[Finding]
    read: Read  # None, or None in place of a side, where it cannot be read
    leaks: "Sequence[Leak] | None" = None  # None: not looked for yet
    split_warnings: Sequence[str] = ()  # what the splits cannot show
    note: str = ""  # what the search for copies left out
    stopped: str = ""  # the error that stopped the line; empty: all is well


@contextmanager
def show_problems(contents: DataPage, reports: Path) -> Iterator[None]:
    """Show an error that stops the pipeline, with pictures, in reports/problems.html.

    Without an error the page is removed.

    It is no out of a stage: `make pipeline` puts those back after an error, and this must stay.
    """
    path = reports / PROBLEMS
    try:
        yield
    except MaskmillError as error:
        files.write_text(path, render(replace(contents, stopped=str(error))))
        raise MaskmillError(f"{error}\nlook at {path}") from None
    path.unlink(missing_ok=True)


def render(contents: DataPage) -> str:
    """The page as HTML; the same contents give the same text."""
    drawn = _Pictures(contents)
    samples = [(split, name, drawn.pair(name)) for split, name in _samples(contents.manifest)]
    told = sorted((f for f in contents.findings if not f.passed), key=lambda f: _ORDER[f.severity])
    leaks = sorted(contents.leaks or (), key=lambda leak: leak.allowed)
    return templates.load_template("data.html.j2").render(
        c=contents,
        facts=data_facts,
        told=[(finding, _ADVICE.get(finding.name, ""), drawn.of(finding)) for finding in told],
        leaks=[
            (leak, drawn.leak(leak) if place < _LEAKS else [])
            for place, leak in enumerate(leaks[:_LEAKS_NAMED])
        ],
        leaks_found=len(leaks),
        open_leaks=sum(not leak.allowed for leak in leaks),
        samples=samples,
        files=_FILES,
        left_out=drawn.left_out,
    )


class _Pictures:
    """Tiles of the page, as long as there is room for them."""

    def __init__(self, contents: DataPage) -> None:
        self._data, self._read, self._room = contents.data, contents.read, _PICTURES_BYTES
        data = contents.data
        self._background = None if data.background is None else data.classes.index(data.background)
        rows = contents.manifest.drop_duplicates("id").set_index("id")
        self._errors = rows["error"].dropna().to_dict()
        self._splits = rows["split"].to_dict() if "split" in rows else {}
        self.left_out = 0  # tiles for which there was no room

    def of(self, finding: Finding) -> list[list[dict[str, str]]]:
        """Groups of tiles that stand side by side: the two of a pair, else image and mask."""
        if finding.pairs:
            return [[*self.pair(a), *self.pair(b)] for a, b in finding.pairs[:_PAIRS]]
        return [self.pair(name) for name in dict.fromkeys(finding.ids[:_SINGLES])]

    def leak(self, leak: "Leak") -> list[list[dict[str, str]]]:
        """The two images of each pair, pairs of different images first.

        Their masks stand beside them where it is a mask that leaks.
        """
        whole = leak.kind == "mask"
        of_each = {a: (a, b) for a, b in reversed(leak.pairs)}
        pairs = dict.fromkeys([*dict.fromkeys(of_each[a] for a, _ in leak.pairs), *leak.pairs])
        return [
            [*self.pair(a)[: 1 + whole], *self.pair(b)[: 1 + whole]]
            for a, b in list(pairs)[:_PAIRS]
        ]

    def pair(self, name: str) -> list[dict[str, str]]:
        """An image, and its mask over it; a word in place of what cannot be shown."""
        image, mask = (self._read(name) if self._room > 0 else None) or (None, None)
        tiles = [self._tile(None if image is None else pictures.to_rgb(image), name)]
        if image is not None and mask is not None and image.shape[:2] == mask.shape:
            shown: np.ndarray | None = pictures.overlay(
                image, mask, self._data.palette, self._background
            )
        else:
            # alone: they do not fit
            shown = None if mask is None else pictures.colour_mask(mask, self._data.palette)
        return [*tiles, self._tile(shown, name, "mask")]

    def _tile(self, picture: np.ndarray | None, name: str, side: str = "image") -> dict[str, str]:
        split = self._splits.get(name)
        text = "its mask" if side == "mask" else f"{name}, {split}" if split else name
        if picture is not None and self._room > 0:
            uri = pictures.photo_uri(pictures.shrink_to_fit(picture, _TILE_PX))
            self._room -= len(uri)
            return {"uri": uri, "text": text, "missing": ""}
        if self._room <= 0:
            self.left_out += 1
            return {"uri": "", "text": text, "missing": "left out: the page would grow too large"}
        return {"uri": "", "text": text, "missing": str(self._errors.get(name, f"no {side}"))}


def _samples(manifest: pd.DataFrame) -> list[tuple[str, str]]:
    """(split, id) of pairs drawn at random, the same each time, as many from each split."""
    readable = manifest[
        manifest["error"].isna() & manifest["image"].notna() & manifest["mask"].notna()
    ]
    parts = [("", readable)]
    if "split" in manifest:
        parts = [(split, readable[readable["split"] == split]) for split in SPLITS]
    draw = np.random.default_rng(0)
    each, chosen = _SAMPLES // len(parts), []
    for split, part in parts:
        names = np.sort(part["id"].to_numpy(dtype=str))
        picked = draw.choice(names, min(each, len(names)), replace=False)
        chosen += [(split, str(name)) for name in np.sort(picked)]
    return chosen
