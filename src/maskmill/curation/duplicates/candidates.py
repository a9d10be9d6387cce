"""Which images may show the same picture, found without comparing each with each.

The signs of the lowest coefficients of an image (views.py) are its key in a table; a query also
looks where its weakest signs are turned (Lv et al., "Multi-probe LSH", VLDB 2007), since only those
change when a picture is saved anew. Where all images look alike, as slices and frames of a still
camera do, they share their signs and so one crowded key: a second table holds the signs of what
differs from their mean, and of few images each is compared with each. Memory grows with the images,
not with their pairs.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from maskmill.curation.duplicates.views import LOWEST, ORIENTATIONS, orient_coefficients

PROBES, MORE_PROBES = 4, 6  # weakest signs that a query turns; where a texture alone makes them
CROWDED = 64  # images under one key that a query looks at
FEW = 5000  # images that are compared each with each, which takes seconds
BLOCK = 1 << 20  # entries held at once
_DIGITS = 5  # of a cosine that decide an order; those after them differ between processors
# images that look into the tables, or are compared with all others, at once
PART, _AT_ONCE = 4096, 128

FOUND = np.dtype(
    [("a", "i4"), ("b", "i4"), ("view", "i2"), ("orientation", "i1"), ("cosine", "f4")]
)


class Index:
    """Finds which images, in any of eight orientations, have nearly the coefficients of a query."""

    def __init__(
        self, coefficients: np.ndarray, middle: np.ndarray | None = None, probes: int = PROBES
    ) -> None:
        self.coefficients = coefficients  # (N, 64)
        # the signs are of what differs
        self.middle = np.zeros_like(coefficients[:1]) if middle is None else middle
        self.probes = probes
        self.bits = int(
            np.clip(np.ceil(np.log2(ORIENTATIONS * max(1, len(coefficients)))) + 2, 12, 24)
        )
        keys = np.concatenate(
            [self._keys(orient_coefficients(coefficients, o)) for o in range(ORIENTATIONS)]
        )
        self.entries = np.argsort(keys, kind="stable").astype(np.int32)  # orientation * N + image
        counts = np.bincount(keys, minlength=1 << self.bits)
        self.starts = np.concatenate([[0], np.cumsum(counts)])

    def search(
        self, queries: np.ndarray, owner: np.ndarray, view: np.ndarray, least: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find pairs (FOUND) of a query's owner and another image that are alike.

        The cosine of their coefficients is at least `least`. The owners that did not see all, since
        more than CROWDED images are under one of their keys, are returned, too.
        """
        found, crowded = [np.zeros(0, FOUND)], np.zeros(len(queries), bool)
        for probing, entries in self._probe(queries, crowded):
            other = owner[probing] != entries % len(self.coefficients)
            rows, entry = probing[other], entries[other]
            orientation, image = np.divmod(entry, len(self.coefficients))
            cosine = np.empty(len(rows), np.float32)
            for o in range(ORIENTATIONS):
                mine = orientation == o
                cosine[mine] = np.einsum(
                    "nc,nc->n",
                    queries[rows[mine]],
                    orient_coefficients(self.coefficients[image[mine]], o),
                )
            near = cosine >= least
            hits = np.zeros(int(near.sum()), FOUND)
            hits["a"], hits["b"] = owner[rows[near]], image[near]
            hits["view"], hits["orientation"], hits["cosine"] = (
                view[rows[near]],
                orientation[near],
                cosine[near],
            )
            found.append(hits)
        return np.concatenate(found), np.unique(owner[crowded])

    def _probe(
        self, queries: np.ndarray, crowded: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield query rows and the entries under their keys, a bounded number at a time.

        It marks in `crowded` the queries that have a crowded key.
        """
        turned = np.array(
            [[p >> bit & 1 for bit in range(self.probes)] for p in range(1 << self.probes)],
            np.int64,
        )
        step = max(1, BLOCK // len(turned) // 8)
        for first in range(0, len(queries), step):
            block = queries[first : first + step]
            clear = np.abs((block - self.middle)[:, LOWEST[: self.bits]])
            weakest = np.argpartition(clear, self.probes, axis=1)[:, : self.probes]
            keys = self._keys(block)[:, None] ^ ((1 << weakest) @ turned.T)
            rows = np.repeat(np.arange(first, first + len(block)), len(turned))
            starts = self.starts[keys.ravel()]
            held = self.starts[keys.ravel() + 1] - starts
            crowded[first : first + len(block)] = (
                (held > CROWDED).reshape(len(block), -1).any(axis=1)
            )
            sizes = np.minimum(held, CROWDED)
            for part in _parts(sizes):
                size = sizes[part]
                offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
                yield (
                    np.repeat(rows[part], size),
                    self.entries[np.repeat(starts[part], size) + offset],
                )

    def _keys(self, coefficients: np.ndarray) -> np.ndarray:
        return np.asarray(
            ((coefficients - self.middle)[:, LOWEST[: self.bits]] > 0) @ (1 << np.arange(self.bits))
        )


def _parts(sizes: np.ndarray) -> Iterator[slice]:
    """Runs of `sizes` whose sums stay near BLOCK."""
    sums = np.cumsum(sizes)
    cuts = np.searchsorted(sums, np.arange(BLOCK, int(sums[-1]), BLOCK)).tolist()
    for first, last in zip([0, *cuts], [*cuts, len(sizes)], strict=True):
        yield slice(first, last)


def of_whole(index: Index, least: float, per_image: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (FOUND) of whole images, and the images whose search was incomplete.

    For these not all others, or not all alike ones, were looked at.
    """
    coefficients, count = index.coefficients, len(index.coefficients)
    if count <= FEW:
        return _each_with_each(coefficients, least, per_image)
    middle = coefficients.mean(axis=0, keepdims=True)
    tables = [index, Index(coefficients, middle, MORE_PROBES)]
    found, cut = [], []
    for images in (np.arange(a, b) for a, b in pairwise([*range(0, count, PART), count])):
        view = np.zeros_like(images)
        seen, crowded = zip(
            *(t.search(coefficients[images], images, view, least) for t in tables), strict=True
        )
        chosen, others = best_candidates(np.concatenate(seen), per_image)
        found.append(chosen)
        # an image that one table shows in full was looked for
        cut += [np.intersect1d(*crowded), others]
    return np.concatenate(found), np.unique(np.concatenate(cut))


def _each_with_each(
    coefficients: np.ndarray, least: float, per_image: int
) -> tuple[np.ndarray, np.ndarray]:
    found, cut = [np.zeros(0, FOUND)], [np.zeros(0, np.int64)]
    turned = [orient_coefficients(coefficients, o).T for o in range(ORIENTATIONS)]
    for first in range(0, len(coefficients), _AT_ONCE):
        block = coefficients[first : first + _AT_ONCE]
        cosine, orientation = block @ turned[0], np.zeros((len(block), len(coefficients)), np.int8)
        for o in range(1, ORIENTATIONS):
            other = block @ turned[o]
            orientation[other > cosine] = o
            np.maximum(cosine, other, out=cosine)
        rows = np.arange(len(block))
        cosine[rows, first + rows] = -1  # itself
        row, image = np.nonzero(cosine >= least)
        hits = np.zeros(len(row), FOUND)
        hits["a"], hits["b"] = first + row, image
        hits["orientation"], hits["cosine"] = orientation[row, image], cosine[row, image]
        hits = hits[np.argsort(-hits["cosine"].round(_DIGITS), kind="stable")]
        rank = _rank(hits["a"])
        found.append(hits[rank < per_image])
        cut.append(hits["a"][rank == per_image])
    return np.concatenate(found), np.unique(np.concatenate(cut))


def best_candidates(found: np.ndarray, per_image: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best view of each pair of images, the most alike first.

    Of one image at most `per_image` pairs are kept; the images that have more are returned, too.
    """
    alike = -found["cosine"].round(_DIGITS)
    found = found[np.lexsort((found["orientation"], found["view"], found["b"], found["a"], alike))]
    low, high = (
        np.minimum(found["a"], found["b"]).astype(np.int64),
        np.maximum(found["a"], found["b"]),
    )
    _, first = np.unique(low << 32 | high, return_index=True)
    found = found[np.sort(first)]
    over = [_rank(found[side]) >= per_image for side in ("a", "b")]
    cut = np.unique(
        np.concatenate([found[side][more] for side, more in zip(("a", "b"), over, strict=True)])
    )
    return found[~(over[0] | over[1])], cut


def _rank(images: np.ndarray) -> np.ndarray:
    """How often the same image stands before each place."""
    order = np.argsort(images, kind="stable")
    ordered = images[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(images), np.int64)
    rank[order] = np.arange(len(images)) - first
    return rank
