"""The table of all pairs, one row each: what validation, splits and everything after it read."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from maskmill import files
from maskmill.config import Data
from maskmill.data import decode

_COLUMNS = (
    "id", "image", "mask", "group", "order", "height", "width", "channels", "dtype", "sha256_file", "sha256_pixels",
    "mean", "std", "mask_height", "mask_width", "sha256_mask", "ignored_px", "unknown_px", "unknown_ids",
)  # fmt: skip


def build(raw: Path, data: Data) -> pd.DataFrame:
    """Read every pair below `raw` once and describe it.

    Columns: id, image, mask (paths below `raw`, None where absent), group, order, height, width, mask_height,
    mask_width, channels, dtype, sha256_file, sha256_pixels, sha256_mask, mean, std (of the image, 0..255),
    ignored_px, unknown_px, unknown_ids, px_<class>, error (None where the pair could be read).
    """
    index = pd.read_csv(raw / "index.csv", dtype={"id": str, "group": str}, keep_default_na=False)
    with ThreadPoolExecutor() as pool:
        rows = pool.map(lambda pair: _describe(raw, pair, data), index.to_dict("records"))
        described = list(tqdm(rows, total=len(index), desc="manifest", unit="pair", disable=None))
    columns = [*_COLUMNS, *(f"px_{name}" for name in data.classes), "error"]
    return pd.DataFrame(described, columns=columns).sort_values("id", ignore_index=True)


def read(path: Path) -> pd.DataFrame:
    """The manifest that `write` wrote."""
    return pd.read_parquet(path)


def write(path: Path, table: pd.DataFrame) -> None:
    """Write the manifest as parquet in one step."""
    with files.atomic(path) as file:
        table.to_parquet(file, index=False)


def split_digest(table: pd.DataFrame, split: str) -> str:
    """SHA-256 over the pixels of one split's images and masks: two models compare only where it is equal."""
    rows = table[table["split"] == split].sort_values("id")
    lines: Sequence[str] = (rows["id"] + rows["sha256_pixels"] + rows["sha256_mask"]).tolist()
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _describe(raw: Path, pair: dict[str, Any], data: Data) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": pair["id"], "group": pair["group"], "order": pair["order"],
        "image": f"images/{pair['id']}.png", "mask": f"masks/{pair['id']}.png", "error": None,
    }  # fmt: skip
    for side in ("image", "mask"):
        if not (raw / row[side]).exists():
            row[side] = None
    try:
        if row["image"]:
            row |= _describe_image(raw / row["image"], data)
        if row["mask"]:
            row |= _describe_mask(raw / row["mask"], data)
    except decode.DecodeError as error:
        row["error"] = str(error)
    return row


def _describe_image(path: Path, data: Data) -> dict[str, Any]:
    pixels = decode.image(path, data.in_channels)
    return {
        "height": pixels.shape[0], "width": pixels.shape[1], "channels": pixels.shape[2], "dtype": str(pixels.dtype),
        "sha256_file": files.sha256(path), "sha256_pixels": _digest(pixels),
        "mean": float(pixels.mean()), "std": float(pixels.std()),
    }  # fmt: skip


def _describe_mask(path: Path, data: Data) -> dict[str, Any]:
    pixels = decode.mask(path)
    counts = np.bincount(pixels.ravel(), minlength=256)
    known = [*range(len(data.classes)), data.ignore_index]
    unknown = [i for i in np.flatnonzero(counts).tolist() if i not in known]
    return {
        "mask_height": pixels.shape[0], "mask_width": pixels.shape[1], "sha256_mask": _digest(pixels),
        "ignored_px": int(counts[data.ignore_index]), "unknown_px": int(counts[unknown].sum()),
        "unknown_ids": " ".join(map(str, unknown)),
        **{f"px_{name}": int(counts[i]) for i, name in enumerate(data.classes)},
    }  # fmt: skip


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
