"""What a manifest says about a data set in numbers: splits, classes, sizes, brightness, groups."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from maskmill.settings.config import SPLITS, Data

_ROWS = 12  # of a table that could be long
_BINS = 32


@dataclass(frozen=True)
class Part:
    """One split, or one fold: its images and the share of each class among its labelled pixels."""

    name: str
    images: int
    groups: int
    shares: list[float]
    clean: int  # images that no leak touches


def splits(manifest: pd.DataFrame, data: Data) -> list[Part]:
    """Train, val and test; nothing before there are splits."""
    if "split" not in manifest:
        return []
    return [_part(split, manifest[manifest["split"] == split], data) for split in SPLITS]


def folds(manifest: pd.DataFrame, data: Data) -> list[Part]:
    """The folds of a cross-validation; nothing where there are none."""
    if "fold" not in manifest:
        return []
    fold = pd.to_numeric(manifest["fold"], errors="coerce")
    names = sorted(fold[fold >= 0].unique().astype(int).tolist())
    return [_part(str(name), manifest[fold == name], data) for name in names]


def guards(manifest: pd.DataFrame) -> pd.DataFrame:
    """Pairs that no split uses, since they lie too near to another one."""
    return manifest[manifest["split"] == ""] if "split" in manifest else manifest.iloc[:0]


def touched(manifest: pd.DataFrame) -> int:
    """Validation and test images that a leak touches."""
    return int((~manifest["clean"].astype(bool)).sum()) if "clean" in manifest else 0


def classes(manifest: pd.DataFrame, data: Data) -> list[tuple[str, int, float, int]]:
    """Of each class: name, pixels, share of the labelled pixels, images that hold it."""
    pixels = [manifest[f"px_{name}"].fillna(0) for name in data.classes]
    total = max(1, sum(int(column.sum()) for column in pixels))
    counts = [(int(column.sum()), int((column > 0).sum())) for column in pixels]
    return [
        (name, px, px / total, images)
        for name, (px, images) in zip(data.classes, counts, strict=True)
    ]


def ignored(manifest: pd.DataFrame) -> float:
    """Share of all mask pixels that take part in nothing."""
    total = float((manifest["mask_height"] * manifest["mask_width"]).sum())
    return float(manifest["ignored_px"].sum()) / total if total else 0.0


def sizes(manifest: pd.DataFrame) -> list[tuple[str, int]]:
    """Width x height and how many images have it, the commonest first; the rest as one row."""
    known = manifest.dropna(subset=["height", "width"])
    counts = (
        known.groupby(["width", "height"])
        .size()
        .sort_index()
        .sort_values(ascending=False, kind="stable")
    )
    return _shortened([(f"{int(w)} x {int(h)}", int(n)) for (w, h), n in counts.items()])


def formats(manifest: pd.DataFrame) -> list[tuple[str, int]]:
    """File format, numbers in the file and channels as read, and how many images are so."""
    known = manifest.dropna(subset=["channels"])
    kinds = known["format"].astype(str) + ", " + known["dtype"].astype(str)
    counts = (kinds + ", " + known["channels"].astype(int).astype(str) + " channels").value_counts(
        sort=False
    )
    return _shortened(
        sorted(((str(k), int(n)) for k, n in counts.items()), key=lambda row: (-row[1], row[0]))
    )


def histogram(values: "pd.Series[float]", high: float) -> list[float]:
    """Heights, 0 to 1, of 32 bars from 0 to `high`."""
    counts, _ = np.histogram(
        values.dropna().to_numpy(dtype=float).clip(0, high), bins=_BINS, range=(0, high)
    )
    heights: list[float] = (counts / max(1, counts.max())).tolist()
    return heights


def groups(manifest: pd.DataFrame) -> list[tuple[str, int, str]]:
    """Name, images and splits of the largest groups."""
    where = manifest["split"] if "split" in manifest else pd.Series("", index=manifest.index)
    by_group = where.groupby(manifest["group"]).agg(
        ["size", lambda part: ", ".join(split for split in SPLITS if split in set(part))]
    )
    by_group.columns = ["size", "splits"]
    largest = by_group.sort_index().sort_values("size", ascending=False, kind="stable").head(_ROWS)
    return [(str(name), int(row["size"]), str(row["splits"])) for name, row in largest.iterrows()]


def _part(name: str, rows: pd.DataFrame, data: Data) -> Part:
    clean = int(rows["clean"].astype(bool).sum()) if "clean" in rows else len(rows)
    return Part(
        name,
        len(rows),
        rows["group"].nunique(),
        [share for _, _, share, _ in classes(rows, data)],
        clean,
    )


def _shortened(rows: list[tuple[str, int]]) -> list[tuple[str, int]]:
    if len(rows) <= _ROWS:
        return rows
    return [*rows[:_ROWS], (f"{len(rows) - _ROWS} others", sum(count for _, count in rows[_ROWS:]))]
