"""Decoded samples in few memory-mapped files, so that an epoch reads at memory speed and DVC versions few files.

What lies in them is in shard_files.py, how it comes there in packing.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskmill.data import shard_files
from maskmill.data.shard_files import read_index, verify

__all__ = ["Shard", "verify"]


class Shard(Sequence[tuple[np.ndarray, np.ndarray]]):
    """One split's samples in order of id: image (H, W, C) uint8 and mask (H, W) uint8 ids, views into mapped files.

    Copied to another process, it takes the index along and maps the files anew. A split without samples is empty.
    """

    def __init__(self, folder: Path, split: str) -> None:
        every = read_index(folder)
        index = every[every["split"] == split].sort_values("id")
        self.ids: list[str] = index["id"].tolist()
        self.sizes: list[tuple[int, int]] = list(zip(index["height"].tolist(), index["width"].tolist(), strict=True))
        self.clean: list[bool] = index["clean"].tolist()
        self.channels = int(every.loc[every["split"] != "", "channels"].max()) if (every["split"] != "").any() else 0
        self._folder = folder.absolute()
        names = sorted(set(index["shard"]))
        ends = (index["mask_start"] + index["height"] * index["width"]).groupby(index["shard"]).max()
        self._files = {name: int(ends[name]) for name in names}
        self._shards = index["shard"].map({name: i for i, name in enumerate(names)}).to_numpy(np.int64)
        self._starts = index[["start", "mask_start"]].to_numpy(np.int64)
        self._open()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        place = (*self.sizes[i], self.channels, *self._starts[i].tolist())
        return shard_files.views(self._mapped[self._shards[i]], place)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_mapped"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._open()

    def _open(self) -> None:
        self._mapped = [shard_files.open_shard(self._folder / name, least) for name, least in self._files.items()]
