"""Which pair is in which split: whole groups only, frozen by data/splits.csv."""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from maskmill.config import SPLITS, Splits
from maskmill.errors import MaskmillError


def assign(manifest: pd.DataFrame, frozen: Path, splits: Splits) -> tuple[pd.DataFrame, list[str]]:
    """Give each pair its split: the one that data/splits.csv names for its group, else a new one.

    New groups come in a seeded order, each to the split that is furthest below its share of the images.
    Returns: the manifest with a `split` column, and the groups that data/splits.csv did not name.
    Raises: MaskmillError for a malformed file, an empty split, or an image that stands in two splits.
    """
    chosen = read(frozen)
    sizes = manifest.groupby("group").size()
    known = {group: split for group, split in chosen.items() if group in sizes.index}
    new = np.random.default_rng(splits.seed).permutation(sorted(set(sizes.index) - known.keys())).tolist()
    share = {"train": 1 - splits.val - splits.test, "val": splits.val, "test": splits.test}
    held = {split: sum(int(sizes[g]) for g, s in known.items() if s == split) for split in SPLITS}
    for group in new:
        split = max(SPLITS, key=lambda s: share[s] * len(manifest) - held[s])
        known[group] = split
        held[split] += int(sizes[group])
    table = manifest.assign(split=manifest["group"].map(known))
    _check(table, frozen)
    return table, new


def read(path: Path) -> dict[str, str]:
    """Group -> split, as data/splits.csv has it; nothing where there is no such file.

    Raises: MaskmillError for other columns, an unknown split, or a group that stands there twice.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        table = pd.read_csv(io.StringIO("\n".join(lines)), dtype=str, keep_default_na=False)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return {}
    except pd.errors.ParserError as error:
        raise MaskmillError(f"{path}: not a table of two columns, group,split: {error}") from None
    if list(table.columns) != ["group", "split"]:
        raise MaskmillError(f"{path}: columns {list(table.columns)}; needed are group,split")
    if wrong := table[~table["split"].isin(SPLITS)]["group"].tolist():
        raise MaskmillError(f"{path}: groups {wrong} have no split of {', '.join(SPLITS)}")
    if twice := table[table["group"].duplicated()]["group"].tolist():
        raise MaskmillError(f"{path}: groups {twice} stand there twice; a group has one split")
    return dict(zip(table["group"], table["split"], strict=True))


def _check(table: pd.DataFrame, frozen: Path) -> None:
    counts = table["split"].value_counts()
    for split in SPLITS:
        if not counts.get(split, 0):
            raise MaskmillError(
                f"split {split!r} is empty ({len(table)} images in {table['group'].nunique()} groups); "
                f"assign a group to it in {frozen}, or change splits.val and splits.test in params.yaml"
            )
    shared = table.groupby("sha256_pixels")["split"].nunique()
    leaks = table[table["sha256_pixels"].isin(shared[shared > 1].index)].sort_values(["sha256_pixels", "id"])
    if len(leaks):
        pairs = ", ".join(f"{row.image} ({row.split})" for row in leaks.head(10).itertuples())
        raise MaskmillError(
            f"the same image stands in more than one split: {pairs}; delete the copies, or put their groups into one "
            f"split in {frozen}"
        )
