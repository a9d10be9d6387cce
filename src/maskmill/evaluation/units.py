"""Independent units: what a bootstrap may resample as if each had been drawn by itself."""

import numpy as np
import pandas as pd

from maskmill.config import Intervals

ENOUGH = 20  # units; intervals over fewer are too narrow too often for a claim (docs/intervals.md)


def of(ids: list[str], manifest: pd.DataFrame, settings: Intervals) -> np.ndarray:
    """(N,) int64: a number for the unit of each image, equal where the unit is.

    A unit is an image, a group, or a block: at least `intervals.block` images of a group that follow each other in one
    sequence; the rest is shared out among the blocks. A group whose images have no order stays whole.
    """
    rows = _rows(ids, manifest)
    kind = _kind(rows, settings)
    if kind == "image":
        return rows.groupby("id").ngroup().to_numpy(np.int64)
    if kind == "group":
        return rows.groupby("group").ngroup().to_numpy(np.int64)
    return _blocks(rows, settings.block)


def caveat(units: np.ndarray, ids: list[str], manifest: pd.DataFrame, settings: Intervals) -> str:
    """What intervals over these units of these images can't be relied on for, in words; "" where there is nothing."""
    rows = _rows(ids, manifest)
    kind, n = _kind(rows, settings), len(np.unique(units))
    sizes, groups = np.unique(units, return_counts=True)[1], rows["group"].nunique()
    what, warnings = f"{_count(n, kind)}", []
    if kind == "block" and (blocks := _cut(units, rows)):
        per = f"{sizes.min()}" if sizes.min() == sizes.max() else f"{sizes.min()} to {sizes.max()}"
        what = f"{_count(n, 'block')} of {per} contiguous images in {_count(groups, 'group')}"
    if n < ENOUGH:
        warnings.append(f"too few independent units (n < {ENOUGH}) for a claim")
    return what
