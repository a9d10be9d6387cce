"""Images that are there twice: as they are, saved anew, resized, mirrored, turned or cropped.

Equal pixels are found by their hash. The others are proposed by the frequencies of small thumbnails
(views.py, candidates.py), and each proposal is held against more pixels (near.py, registration.py):
those of the thumbnails, then of the images themselves.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from maskmill.curation.duplicates import views
from maskmill.curation.duplicates.near import Near, ThumbnailMatch
from maskmill.curation.duplicates.views import THUMBNAIL_PX
from maskmill.system import files

PAIR = ("a", "b", "kind", "score")
MIN_CONTRAST = 1.5  # standard deviation of a thumbnail, grey levels; with less it says nothing


@dataclass(frozen=True)
class DuplicateSearch:
    """What is there twice, and how far was looked."""

    # PAIR: a, b (ids, a < b), kind: exact, copy, flipped, turned, crop; score 0..1
    pairs: pd.DataFrame
    searched: int  # images
    left_out: int  # images that were not looked at, or not in every way
    seconds: float
    note: str  # what was left out, and why; empty where nothing was


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8 -> (64, 64) uint8 grey: the mean of each area."""
    return views.downscale_to_grey(pixels, THUMBNAIL_PX)


def phash(thumbnail: np.ndarray) -> int:
    """Return 64 bits that stay nearly the same when an image is saved anew.

    They are the signs of the 8 x 8 lowest frequencies.

    Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010; the mean's
    bit is 0.
    """
    bits = views.frequency_coefficients(thumbnail[None])[0] > 0
    return int.from_bytes(np.packbits(bits).tobytes())


def find_duplicates(
    manifest: pd.DataFrame,
    thumbnails: np.ndarray,
    read: Callable[[int], np.ndarray],
    budget_s: float,
) -> DuplicateSearch:
    """Find every pair of rows that shows one picture.

    The pairs are the same each time, as long as `budget_s` suffices.

    `thumbnails` and `read(i)`, (H, W, C) uint8, are in the order of the rows. Equal images are
    paired with the first of them, not each with each; rows without sha256_pixels, which could not
    be read, are left out. Time that runs out is said in the note.
    """
    start = time.monotonic()
    by_id = np.argsort(manifest["id"].to_numpy(dtype=str), kind="stable")
    rows = manifest.iloc[by_id].reset_index(drop=True)
    first = _first_alike(rows["sha256_pixels"])
    unique = np.flatnonzero(first == np.arange(len(rows)))
    told = np.array([i for i in unique if thumbnails[by_id[i]].std() >= MIN_CONTRAST], dtype=int)
    near = Near(
        rows.iloc[told],
        thumbnails[by_id[told]],
        lambda k: read(int(by_id[told[k]])),
        start + budget_s,
    )
    found: list[ThumbnailMatch] = [
        (int(told[a]), int(told[b]), kind, score) for a, b, kind, score in near.search()
    ]
    found += [(int(first[i]), i, "exact", 1.0) for i in range(len(rows)) if 0 <= first[i] < i]
    ids = rows["id"].tolist()
    named = [
        (*sorted((ids[a], ids[b])), kind, score) for a, b, kind, score in found if ids[a] != ids[b]
    ]
    pairs = pd.DataFrame(named, columns=list(PAIR))
    flat = len(unique) - len(told)
    return DuplicateSearch(
        pairs=pairs.sort_values(["a", "b"], ignore_index=True),
        searched=int((first >= 0).sum()) - flat,
        left_out=flat + len(near.left_out),
        seconds=time.monotonic() - start,
        note="; ".join([f"images too flat to be compared: {flat}"] * bool(flat) + near.notes),
    )


def write_duplicates(path: Path, search: DuplicateSearch) -> None:
    """Write the pairs and the note as JSON; the same search gives the same bytes."""
    files.write_json(path, {"note": search.note, "pairs": search.pairs.to_dict("records")})


def read_duplicates(path: Path) -> tuple[pd.DataFrame, str]:
    """The pairs and the note that `write` wrote."""
    found = files.read_json(path)
    return pd.DataFrame(found["pairs"], columns=list(PAIR)), found["note"]


def connected_components(ids: Iterable[str], pairs: pd.DataFrame) -> list[str]:
    """Return for each id the first id of all that pairs tie to it, directly or by others.

    An id that nothing is tied to stands for itself.
    """
    parent: dict[str, str] = {name: name for name in ids}
    order = list(parent)

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for a, b in zip(pairs["a"], pairs["b"], strict=True):
        if a in parent and b in parent:
            low, high = sorted((root(a), root(b)))
            parent[high] = low
    return [root(name) for name in order]


def _first_alike(digests: "pd.Series[str]") -> np.ndarray:
    """Return for each row the first row with the same pixels, which may be the row itself.

    It is -1 for a row that could not be read.
    """
    first: dict[str, int] = {}
    return np.array(
        [first.setdefault(d, i) if isinstance(d, str) and d else -1 for i, d in enumerate(digests)],
        int,
    )
