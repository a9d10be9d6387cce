"""Find copies that are not equal pixel by pixel, within a time.

Their coefficients propose pairs, and registration verifies them.
"""

import time
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import pandas as pd

from maskmill.curation.duplicates import candidates, registration, views
from maskmill.system.parallel import in_order

LEAST_COSINE = 0.92  # of the coefficients of two views that are looked at closer
PER_IMAGE = 48  # proposals held against pixels for one image, the most alike first
_AT_ONCE, _KEPT = 64, 1024  # images between two looks at the clock; small images in memory
_CROP, _SHEAR = 0.93, 0.03  # less of the area is a crop; more off the axes is a turn
_LONGER = "more time: validation.search_s in params.yaml"

# two rows, what one is of the other, how well they agree
ThumbnailMatch = tuple[int, int, str, float]


class Near:
    """The search for copies that are not equal pixel by pixel."""

    def __init__(
        self,
        rows: pd.DataFrame,
        thumbnails: np.ndarray,
        read: Callable[[int], np.ndarray],
        deadline: float,
    ) -> None:
        self.sizes = [(int(h), int(w)) for h, w in zip(rows["height"], rows["width"], strict=True)]
        self.thumbnails = thumbnails
        self.deadline = deadline
        self.notes: list[str] = []
        self.left_out: set[int] = set()
        self.read = lru_cache(_KEPT)(lambda i, side: views.downscale_to_grey(read(i), side))

    def search(self) -> list[ThumbnailMatch]:
        """Propose pairs, in half of the time at most, and verify them in the rest."""
        proposals = self._propose()
        found: dict[tuple[int, int], ThumbnailMatch] = {}
        for done, match in enumerate(in_order(self._verify, proposals), start=1):
            if match is not None and (match[:2] not in found or match[3] > found[match[:2]][3]):
                found[match[:2]] = match
            if done < len(proposals) and time.monotonic() > self.deadline:
                late = proposals[done:]
                self.left_out |= set(late["a"].tolist()) | set(late["b"].tolist())
                self.notes.append(
                    f"time was up before {len(late)} of {len(proposals)} likely pairs were compared"
                    f" ({_LONGER})"
                )
                break
        return sorted(found.values())

    def _propose(self) -> np.ndarray:
        """Return likely pairs (candidates.FOUND), the most alike first.

        Pairs of whole images come before those of their windows and turns.
        """
        if (count := len(self.thumbnails)) < 2:
            return np.zeros(0, candidates.FOUND)
        until = (time.monotonic() + self.deadline) / 2
        whole = np.concatenate(
            [views.frequency_coefficients(self.thumbnails[part]) for part in _parts(count)]
        )
        inner = np.concatenate([self._turned(i, slice(1)) for i in range(count)])
        by_whole, by_inner = candidates.Index(whole), candidates.Index(inner)
        found, crowded = candidates.of_whole(by_whole, LEAST_COSINE, PER_IMAGE)
        cut, partly = [found], set(crowded.tolist())
        turned: list[np.ndarray] = []
        for part in _parts(count):
            if time.monotonic() > until:
                self.left_out |= set(range(part.start, count))
                self.notes.append(
                    f"time was up before {count - part.start} of {count} images were looked for as"
                    f" crops and turns of others ({_LONGER})"
                )
                break
            images = range(part.start, part.stop)
            squares = [self._turned(i, slice(1, None)) for i in images]
            for into, index, shown, first in (
                (cut, by_whole, [views.window_coefficients(self.thumbnails[i]) for i in images], 0),
                (turned, by_inner, squares, len(views.window_maps()) + 1),
            ):
                found, crowded = _search(index, images, shown, first)
                into.append(found)
                partly |= set(crowded.tolist())
        likely, crowded = zip(
            *(
                candidates.best_candidates(np.concatenate(of), PER_IMAGE)
                for of in (cut, turned)
                if of
            ),
            strict=True,
        )
        proposals = np.concatenate(likely)
        self._tell_partly(partly.union(*(images.tolist() for images in crowded)))
        return proposals[np.argsort(-proposals["cosine"], kind="stable")]

    def _tell_partly(self, images: set[int]) -> None:
        self.left_out |= images
        if images:
            self.notes.append(
                f"{len(images)} of {len(self.thumbnails)} images have many that are alike, as"
                " slices of a stack and frames of a film do; each was compared with the"
                f" {PER_IMAGE} most alike, not with all"
            )

    def _turned(self, i: int, angles: slice) -> np.ndarray:
        return views.turn_coefficients(self.thumbnails[i], views.turn_maps(*self.sizes[i])[angles])

    def _verify(self, proposal: np.void) -> ThumbnailMatch | None:
        """Lay one image over a view of the other, on 64 px and, where that fits, on more."""
        a, b, view = int(proposal["a"]), int(proposal["b"]), int(proposal["view"])
        windows = views.window_maps()
        if view < len(windows):
            to_a, to_b = windows[view], np.eye(3)
        else:
            to_a = views.turn_maps(*self.sizes[a])[view - len(windows)]
            to_b = views.turn_maps(*self.sizes[b])[0]
        to_a = to_a @ np.linalg.inv(views.orientation_map(int(proposal["orientation"])))
        moved = registration.register_thumbnails(self.thumbnails[a], self.thumbnails[b], to_a, to_b)
        if moved is None:
            return None
        side = max(registration.LEAST_PX, min(registration.FINE_PX, *self.sizes[a], *self.sizes[b]))
        result = registration.compare_closely(self.read(a, side), self.read(b, side), moved, to_b)
        if result is None:
            return None
        moved, score = result
        return min(a, b), max(a, b), _kind(moved @ np.linalg.inv(to_b)), score


def _search(
    index: candidates.Index, images: range, shown: list[np.ndarray], first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the likely pairs of `images`, and the images that have more of them.

    The views of these images are numbered from `first` on.
    """
    counts = [len(views_of_one) for views_of_one in shown]
    view = first + np.concatenate([np.arange(count) for count in counts])
    found, crowded = index.search(
        np.concatenate(shown), np.repeat(images, counts), view, LEAST_COSINE
    )
    chosen, cut = candidates.best_candidates(found, PER_IMAGE)
    return chosen, np.union1d(crowded, cut)


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
