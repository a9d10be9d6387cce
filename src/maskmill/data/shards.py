"""Decoded samples in few memory-mapped files, so that an epoch reads at memory speed and DVC versions few files.

A split is two flat uint8 arrays, `<split>-images.npy` and `<split>-masks.npy`, and `<split>.csv` that says where each
sample lies. Samples of different sizes stand one behind the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
from tqdm import tqdm

from maskmill import files
from maskmill.config import Data
from maskmill.data import decode


def pack(folder: Path, split: str, pairs: pd.DataFrame, raw: Path, data: Data) -> None:
    """Decode the pairs of one split (columns id, image, mask, height, width, below `raw`) into `folder`."""
    sizes = pairs["height"].to_numpy(np.int64) * pairs["width"].to_numpy(np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = tqdm(
        pairs[["image", "mask"]].itertuples(index=False), f"pack {split}", len(pairs), unit="pair", disable=None
    )
    with (
        files.atomic(folder / f"{split}-images.npy") as images,
        files.atomic(folder / f"{split}-masks.npy") as masks,
    ):
        _write_header(images, int(starts[-1]) * data.in_channels)
        _write_header(masks, int(starts[-1]))
        for image, mask in rows:
            images.write(decode.image(raw / image, data.in_channels).tobytes())
            masks.write(decode.mask(raw / mask).tobytes())
    index = pairs[["id", "height", "width"]].assign(channels=data.in_channels, start=starts[:-1])
    files.write_text(folder / f"{split}.csv", index.to_csv(index=False))


def _write_header(file: BinaryIO, size: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (size,)}
    np.lib.format.write_array_header_1_0(file, header)


class Shard(Sequence[tuple[np.ndarray, np.ndarray]]):
    """One split's samples: image (H, W, C) uint8 and mask (H, W) uint8 ids, views into the mapped files."""

    def __init__(self, folder: Path, split: str) -> None:
        index = pd.read_csv(folder / f"{split}.csv", dtype={"id": str}, keep_default_na=False)
        self.ids: list[str] = index["id"].tolist()
        self.sizes: list[tuple[int, int]] = list(zip(index["height"], index["width"], strict=True))
        self._starts = index["start"].tolist()
        self.channels = int(index["channels"].iloc[0])
        self._images = np.load(folder / f"{split}-images.npy", mmap_mode="r")
        self._masks = np.load(folder / f"{split}-masks.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[override]
        (height, width), start = self.sizes[i], self._starts[i]
        end = start + height * width
        image = self._images[start * self.channels : end * self.channels].reshape(height, width, self.channels)
        return image, self._masks[start:end].reshape(height, width)
