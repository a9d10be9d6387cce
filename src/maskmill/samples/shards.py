"""Decoded samples in few memory-mapped files.

So an epoch reads at memory speed, and DVC versions few files.

What lies in them is in shard_files.py, how it comes there in packing.py.
"""

import copy
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.samples import shard_files
from maskmill.samples.shard_files import verify

__all__ = ["Shard", "verify"]

_OPENED = ("_mapped", "ids")  # what is made anew in another process


class Shard(Sequence[tuple[np.ndarray, np.ndarray]]):
    """One split's samples in order of id, as views into memory-mapped files.

    A sample is image (H, W, C) uint8 and mask (H, W) uint8 ids.

    Of a sample some 40 bytes and its id are held, in arrays, which loader processes share: reading
    copies nothing. Copied to another process, it takes them along and maps the files anew. A split
    without samples is empty.
    """

    def __init__(self, folder: Path, split: str) -> None:
        places = shard_files.read_split(folder, split)
        self.channels, self.clean = places.channels, places.clean
        self.sizes, self._starts = places.numbers[:, :2], places.numbers[:, 2:]  # (N, 2) int64 each
        self._ids, self._shards, self._folder = places.ids, places.shards, folder.absolute()
        ends = np.zeros(len(places.files), np.int64)
        np.maximum.at(ends, self._shards, self._starts[:, 1] + self.sizes.prod(axis=1))
        self._files = dict(zip(places.files, ends.tolist(), strict=True))
        self._open()

    @cached_property
    def ids(self) -> list[str]:
        """Made when they are asked for: a million take 60 MB, and a training needs none."""
        names: list[str] = self._ids.to_pylist()
        return names

    def chosen(self, rows: np.ndarray) -> "Shard":
        """The samples that `rows`, (N,) bool, chooses, out of the same files."""
        part = copy.copy(self)
        part.clean, part.sizes = self.clean[rows], self.sizes[rows]
        part._starts, part._shards = self._starts[rows], self._shards[rows]
        part._ids = self._ids.filter(rows)
        return part

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        place = (*self.sizes[i].tolist(), self.channels, *self._starts[i].tolist())
        return shard_files.sample_views(self._mapped[self._shards[i]], place)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in _OPENED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def _open(self) -> None:
        self._mapped = [
            shard_files.open_shard(self._folder / name, least)
            for name, least in self._files.items()
        ]
