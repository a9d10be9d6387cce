"""Which images may show the same picture, found without comparing each with each.

The signs of the lowest coefficients of an image (views.py) are its key in a table; a query also looks where its weakest
signs are turned (Lv et al., "Multi-probe LSH", VLDB 2007), since only those change when a picture is saved anew.
Memory grows with the images, not with their pairs.
"""

from collections.abc import Iterator

import numpy as np

from maskmill.data.duplicates.views import LOWEST, ORIENTATIONS, oriented

PROBES = 4  # weakest signs that a query turns
CROWDED = 64  # images under one key that a query looks at
BLOCK = 1 << 20  # entries held at once

_TURNED = np.array([[p >> bit & 1 for bit in range(PROBES)] for p in range(1 << PROBES)], dtype=np.int64)
FOUND = np.dtype([("a", "i4"), ("b", "i4"), ("view", "i2"), ("orientation", "i1"), ("cosine", "f4")])


class Index:
    """Finds which images, in any of eight orientations, have nearly the coefficients of a query."""

    def __init__(self, coefficients: np.ndarray) -> None:
        self.coefficients = coefficients  # (N, 64)
        self.bits = int(np.clip(np.ceil(np.log2(ORIENTATIONS * max(1, len(coefficients)))) + 2, 12, 24))
        keys = np.concatenate([self._keys(oriented(coefficients, o)) for o in range(ORIENTATIONS)])
        self.entries = np.argsort(keys, kind="stable").astype(np.int32)  # orientation * N + image
        counts = np.bincount(keys, minlength=1 << self.bits)
        self.starts = np.concatenate([[0], np.cumsum(counts)])

    def search(self, queries: np.ndarray, owner: np.ndarray, view: np.ndarray, least: float) -> np.ndarray:
        """Pairs (FOUND) of a query's owner and another image whose coefficients agree at least so well (cosine)."""
        found = [np.zeros(0, FOUND)]
        for probing, entries in self._probe(queries):
            other = owner[probing] != entries % len(self.coefficients)
            rows, entry = probing[other], entries[other]
            orientation, image = np.divmod(entry, len(self.coefficients))
            cosine = np.empty(len(rows), np.float32)
            for o in range(ORIENTATIONS):
                mine = orientation == o
                cosine[mine] = np.einsum("nc,nc->n", queries[rows[mine]], oriented(self.coefficients[image[mine]], o))
            near = cosine >= least
            hits = np.zeros(int(near.sum()), FOUND)
            hits["a"], hits["b"] = owner[rows[near]], image[near]
            hits["view"], hits["orientation"], hits["cosine"] = view[rows[near]], orientation[near], cosine[near]
            found.append(hits)
        return np.concatenate(found)

    def _probe(self, queries: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Query rows and the entries under their keys, a bounded number at a time."""
        step = max(1, BLOCK // len(_TURNED) // 8)
        for first in range(0, len(queries), step):
            block = queries[first : first + step]
            weakest = np.argpartition(np.abs(block[:, LOWEST[: self.bits]]), PROBES, axis=1)[:, :PROBES]
            keys = self._keys(block)[:, None] ^ ((1 << weakest) @ _TURNED.T)
            rows = np.repeat(np.arange(first, first + len(block)), len(_TURNED))
            starts = self.starts[keys.ravel()]
            sizes = np.minimum(self.starts[keys.ravel() + 1] - starts, CROWDED)
            for part in _parts(sizes):
                size = sizes[part]
                offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
                yield np.repeat(rows[part], size), self.entries[np.repeat(starts[part], size) + offset]

    def _keys(self, coefficients: np.ndarray) -> np.ndarray:
        return np.asarray((coefficients[:, LOWEST[: self.bits]] > 0) @ (1 << np.arange(self.bits)))


def _parts(sizes: np.ndarray) -> Iterator[slice]:
    """Runs of `sizes` whose sums stay near BLOCK."""
    sums = np.cumsum(sizes)
    cuts = np.searchsorted(sums, np.arange(BLOCK, int(sums[-1]), BLOCK)).tolist()
    for first, last in zip([0, *cuts], [*cuts, len(sizes)], strict=True):
        yield slice(first, last)


def best(found: np.ndarray, per_image: int) -> np.ndarray:
    """The best view of each pair of images, the most alike first, at most so many pairs for one image."""
    found = found[np.lexsort((found["orientation"], found["view"], found["b"], found["a"], -found["cosine"]))]
    low, high = np.minimum(found["a"], found["b"]).astype(np.int64), np.maximum(found["a"], found["b"])
    _, first = np.unique(low << 32 | high, return_index=True)
    found = found[np.sort(first)]
    chosen: np.ndarray = found[np.maximum(_rank(found["a"]), _rank(found["b"])) < per_image]
    return chosen


def _rank(images: np.ndarray) -> np.ndarray:
    """How often the same image stands before each place."""
    order = np.argsort(images, kind="stable")
    ordered = images[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(images), np.int64)
    rank[order] = np.arange(len(images)) - first
    return rank
