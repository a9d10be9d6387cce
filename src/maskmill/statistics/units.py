"""Independent units: what a bootstrap may resample as if each had been drawn by itself."""

import numpy as np
import pandas as pd

from maskmill.settings.config import Intervals

ENOUGH = 20  # units; intervals over fewer promise too little for a claim (docs/intervals.md)
_GROUPS = 5  # from which on `auto` takes groups; fewer have no interval


def units_of_images(ids: list[str], manifest: pd.DataFrame, settings: Intervals) -> np.ndarray:
    """(N,) int64: a number for the unit of each image, equal where the unit is.

    A unit is an image, a group, or a block: at least `intervals.block` images of a group that
    follow each other in one sequence; what is over is shared out among the blocks. A group whose
    images have no order stays whole, as does one with fewer images. `auto` takes groups where there
    are 5 or more of them, else blocks.
    """
    rows = _rows_of_images(ids, manifest)
    keys = {"image": ["id"], "group": ["group"], "block": ["group", "sequence", "block"]}
    kind = settings.unit
    if kind == "auto":
        kind = "group" if rows["group"].nunique() >= _GROUPS else "block"
    numbers: np.ndarray = (
        rows.assign(block=_blocks(rows, settings.block)).groupby(keys[kind]).ngroup().to_numpy()
    )
    return numbers.astype(np.int64)


def are_independent(units: np.ndarray, ids: list[str], manifest: pd.DataFrame) -> bool:
    """Whether no unit is a part of a group: over blocks of groups nothing is decided."""
    groups = manifest.drop_duplicates("id").set_index("id").loc[ids, "group"]
    parts = pd.Series(units).groupby(groups.to_numpy()).nunique()
    return bool(parts.max() == 1)


def caveat_of_units(
    units: np.ndarray, ids: list[str], manifest: pd.DataFrame, settings: Intervals
) -> str:
    """What intervals over these units of these images are no ground for, in words.

    "" where there is nothing.
    """
    rows = _rows_of_images(ids, manifest).assign(unit=units)
    n, sizes = rows["unit"].nunique(), rows["unit"].value_counts()
    groups, sequences = rows["group"].nunique(), rows["sequence"].nunique()
    warnings = []
    if n < ENOUGH:
        warnings.append(f"too few independent units (n < {ENOUGH}) for a claim")
    if n == len(rows):
        what = _count_in_words(n, "image")
        if n > groups:
            what += f" of {_count_in_words(groups, 'group')}"
            warnings.append(
                "images of one group are alike, so the intervals are too narrow (intervals.unit)"
            )
    elif n == groups:
        what = _count_in_words(n, "group")
    else:
        size = f"{sizes.min()} to {sizes.max()}" if sizes.min() < sizes.max() else f"{sizes.max()}"
        what = (
            f"{_count_in_words(n, 'block')} of {size} contiguous images in"
            f" {_count_in_words(groups, 'group')}"
        )
        warnings.append(
            "blocks of one group say nothing about other groups, and their intervals are too narrow"
            " where neighbours are alike"
        )
    if n > 1 and groups > sequences:
        what += f" of {_count_in_words(sequences, 'sequence')}"
        warnings.append("parts of one sequence say nothing about other sequences")
    return f"{what}: {'; '.join(warnings)}" if warnings else ""


def _rows_of_images(ids: list[str], manifest: pd.DataFrame) -> pd.DataFrame:
    """id, group, sequence and order of each image; an unnamed sequence is the group."""
    rows = (
        manifest.drop_duplicates("id")
        .set_index("id")
        .loc[ids, ["group", "sequence", "order"]]
        .reset_index()
    )
    return rows.assign(
        sequence=rows["sequence"].where(rows["sequence"].fillna("") != "", rows["group"])
    )


def _blocks(rows: pd.DataFrame, least: int) -> np.ndarray:
    """(N,) the place of each image's block in its group and sequence, by rank.

    0 where the group stays whole.
    """
    within = rows.groupby(["group", "sequence"])["order"]
    size, distinct = within.transform("size"), within.transform("nunique")
    ordered = (size == distinct).groupby(rows["group"]).transform("all")
    count = (size // least).clip(lower=1)
    rank = within.rank(method="first").fillna(0) - 1
    return np.where(ordered, rank * count // size, 0).astype(np.int64)


def _count_in_words(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
