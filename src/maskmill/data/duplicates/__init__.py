"""Images that are there twice: as they are, saved anew, resized, mirrored, turned or cropped.

Equal pixels are found by their hash. The others are proposed by the frequencies of small thumbnails (views.py,
candidates.py), and each proposal is held against more pixels (registration.py): those of the thumbnails, then of the
images themselves.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from maskmill import files
from maskmill.data.duplicates import candidates, registration, views
from maskmill.data.duplicates.views import THUMBNAIL_PX
from maskmill.data.parallel import in_order

PAIR = ("a", "b", "kind", "score")
LEAST_COSINE = 0.92  # of the coefficients of two views that are looked at closer
MIN_CONTRAST = 1.5  # standard deviation of a thumbnail, grey levels; with less it says nothing
PER_IMAGE = 48  # proposals held against pixels for one image, the most alike first
_AT_ONCE, _KEPT = 64, 1024  # images between two looks at the clock; small images in memory
_LONGER = "more time: validation.search_s in params.yaml"
_CROP, _SHEAR = 0.93, 0.03  # less of the area is a crop; more off the axes is a turn

Match = tuple[int, int, str, float]  # two rows, what one is of the other, how well they agree


@dataclass(frozen=True)
class Search:
    """What is there twice, and how far was looked."""

    pairs: pd.DataFrame  # PAIR: a, b (ids, a < b), kind: exact, copy, flipped, turned, crop; score 0..1
    searched: int  # images
    left_out: int  # images that were not looked at, or not in every way
    seconds: float
    note: str  # what was left out, and why; empty where nothing was


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """(H, W, C) uint8 -> (64, 64) uint8 grey: the mean of each area."""
    return _grey(pixels, THUMBNAIL_PX)


def phash(thumbnail: np.ndarray) -> int:
    """64 bits that stay nearly the same when an image is saved anew: signs of its 8 x 8 lowest frequencies.

    Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010; the mean's bit is 0.
    """
    bits = views.coefficients(thumbnail[None])[0] > 0
    return int.from_bytes(np.packbits(bits).tobytes())


def find(manifest: pd.DataFrame, thumbnails: np.ndarray, read: Callable[[int], np.ndarray], budget_s: float) -> Search:
    """Every pair of rows that shows one picture; the same pairs each time, as long as `budget_s` suffices.

    `thumbnails` and `read(i)`, (H, W, C) uint8, are in the order of the rows. Equal images are paired with the first of
    them, not each with each; rows without sha256_pixels, which could not be read, are left out. Time that runs out is
    said in the note.
    """
    start = time.monotonic()
    by_id = np.argsort(manifest["id"].to_numpy(dtype=str), kind="stable")
    rows = manifest.iloc[by_id].reset_index(drop=True)
    first = _first_alike(rows["sha256_pixels"])
    unique = np.flatnonzero(first == np.arange(len(rows)))
    told = np.array([i for i in unique if thumbnails[by_id[i]].std() >= MIN_CONTRAST], dtype=int)
    near = _Near(rows.iloc[told], thumbnails[by_id[told]], lambda k: read(int(by_id[told[k]])), start + budget_s)
    found: list[Match] = [(int(told[a]), int(told[b]), kind, score) for a, b, kind, score in near.search()]
    found += [(int(first[i]), i, "exact", 1.0) for i in range(len(rows)) if 0 <= first[i] < i]
    ids = rows["id"].tolist()
    named = [(*sorted((ids[a], ids[b])), kind, score) for a, b, kind, score in found if ids[a] != ids[b]]
    pairs = pd.DataFrame(named, columns=list(PAIR))
    flat = len(unique) - len(told)
    return Search(
        pairs=pairs.sort_values(["a", "b"], ignore_index=True),
        searched=int((first >= 0).sum()) - flat,
        left_out=flat + len(near.left_out),
        seconds=time.monotonic() - start,
        note="; ".join([f"images too flat to be compared: {flat}"] * bool(flat) + near.notes),
    )


def write(path: Path, search: Search) -> None:
    """Write the pairs and the note as JSON; the same search gives the same bytes."""
    files.write_json(path, {"note": search.note, "pairs": search.pairs.to_dict("records")})


def read(path: Path) -> tuple[pd.DataFrame, str]:
    """The pairs and the note that `write` wrote."""
    found = files.read_json(path)
    return pd.DataFrame(found["pairs"], columns=list(PAIR)), found["note"]


def components(ids: Iterable[str], pairs: pd.DataFrame) -> list[str]:
    """For each id the first id of all that are tied to it by pairs, directly or by others; itself where nothing is."""
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
    """For each row the first one with the same pixels, itself perhaps; -1 for one that could not be read."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(d, i) if isinstance(d, str) and d else -1 for i, d in enumerate(digests)], int)


class _Near:
    """The search for copies that are not equal pixel by pixel."""

    def __init__(
        self, rows: pd.DataFrame, thumbnails: np.ndarray, read: Callable[[int], np.ndarray], deadline: float
    ) -> None:
        self.sizes = [(int(h), int(w)) for h, w in zip(rows["height"], rows["width"], strict=True)]
        self.thumbnails = thumbnails
        self.deadline = deadline
        self.notes: list[str] = []
        self.left_out: set[int] = set()
        self.read = lru_cache(_KEPT)(lambda i, side: _grey(read(i), side))

    def search(self) -> list[Match]:
        """Propose pairs, in half of the time at most, and verify them in the rest."""
        proposals = self._propose()
        found: dict[tuple[int, int], Match] = {}
        with closing(in_order(self._verify, proposals)) as matches:
            for done, match in enumerate(matches, start=1):
                if match is not None and (match[:2] not in found or match[3] > found[match[:2]][3]):
                    found[match[:2]] = match
                if done < len(proposals) and time.monotonic() > self.deadline:
                    late = proposals[done:]
                    self.left_out |= set(late["a"].tolist()) | set(late["b"].tolist())
                    self.notes.append(
                        f"time was up before {len(late)} of {len(proposals)} likely pairs were compared ({_LONGER})"
                    )
                    break
        return sorted(found.values())

    def _propose(self) -> np.ndarray:
        """Likely pairs (candidates.FOUND), the most alike first: of whole images, then of their windows and turns."""
        if (count := len(self.thumbnails)) < 2:
            return np.zeros(0, candidates.FOUND)
        until = (time.monotonic() + self.deadline) / 2
        whole = np.concatenate([views.coefficients(self.thumbnails[part]) for part in _parts(count)])
        inner = np.concatenate([self._turned(i, slice(1)) for i in range(count)])
        by_whole, by_inner = candidates.Index(whole), candidates.Index(inner)
        cut = [by_whole.search(whole, np.arange(count), np.zeros(count, int), LEAST_COSINE)]
        turned = []
        for part in _parts(count):
            if time.monotonic() > until:
                self.left_out |= set(range(part.start, count))
                self.notes.append(
                    f"time was up before {count - part.start} of {count} images were looked for as crops and turns "
                    f"of others ({_LONGER})"
                )
                break
            images = range(part.start, part.stop)
            cut.append(_search(by_whole, images, [views.windows(self.thumbnails[i]) for i in images], 0))
            squares = [self._turned(i, slice(1, None)) for i in images]
            turned.append(_search(by_inner, images, squares, len(views.window_maps()) + 1))
        likely = [candidates.best(np.concatenate(found), PER_IMAGE) for found in (cut, turned) if found]
        proposals = np.concatenate(likely)
        return proposals[np.argsort(-proposals["cosine"], kind="stable")]

    def _turned(self, i: int, angles: slice) -> np.ndarray:
        return views.turns(self.thumbnails[i], views.turn_maps(*self.sizes[i])[angles])

    def _verify(self, proposal: np.void) -> Match | None:
        """Lay one image over a view of the other, on 64 px and, where that fits, on more."""
        a, b, view = int(proposal["a"]), int(proposal["b"]), int(proposal["view"])
        windows = views.window_maps()
        if view < len(windows):
            to_a, to_b = windows[view], np.eye(3)
        else:
            to_a = views.turn_maps(*self.sizes[a])[view - len(windows)]
            to_b = views.turn_maps(*self.sizes[b])[0]
        to_a = to_a @ np.linalg.inv(views.orientation_map(int(proposal["orientation"])))
        moved = registration.compare(self.thumbnails[a], self.thumbnails[b], to_a, to_b)
        if moved is None:
            return None
        side = max(registration.LEAST_PX, min(registration.FINE_PX, *self.sizes[a], *self.sizes[b]))
        result = registration.compare_closely(self.read(a, side), self.read(b, side), moved, to_b)
        if result is None:
            return None
        moved, score = result
        return min(a, b), max(a, b), _kind(moved @ np.linalg.inv(to_b)), score


def _search(index: candidates.Index, images: range, shown: list[np.ndarray], first: int) -> np.ndarray:
    """Likely pairs of so many images at once, whose views are numbered from `first` on."""
    counts = [len(views_of_one) for views_of_one in shown]
    view = first + np.concatenate([np.arange(count) for count in counts])
    found = index.search(np.concatenate(shown), np.repeat(images, counts), view, LEAST_COSINE)
    return candidates.best(found, PER_IMAGE)


def _parts(count: int) -> Iterator[slice]:
    for first in range(0, count, _AT_ONCE):
        yield slice(first, min(first + _AT_ONCE, count))


def _kind(move: np.ndarray) -> str:
    """What a map between two whole images does."""
    area = abs(np.linalg.det(move))
    if min(area, 1 / area) < _CROP:
        return "crop"
    if np.linalg.det(move) < 0:
        return "flipped"
    return "turned" if max(abs(move[0, 1]), abs(move[1, 0])) > _SHEAR or move[0, 0] < 0 else "copy"


def _grey(pixels: np.ndarray, side: int) -> np.ndarray:
    """(H, W, C) uint8 -> (side, side) uint8: the mean of each area, as luma (ITU-R 601) where there are 3 channels."""
    shrinks = min(pixels.shape[:2]) >= side
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if small.ndim == 2:
        return np.asarray(small)
    if small.shape[2] == 3:
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    return np.asarray(np.rint(small.mean(axis=2)), np.uint8)
