"""split: give every group its split, and pack the decoded samples."""

from pathlib import Path

import pandas as pd

from maskmill import files
from maskmill.config import SPLITS, Data, Paths, Splits
from maskmill.data import manifest, shards
from maskmill.data import splits as assignment


def split(paths: Paths, data: Data, splits: Splits) -> None:
    """Write data/prepared/manifest.parquet, splits.csv (all groups) and shards/.

    Raises: MaskmillError when an image stands in two splits, or a split is empty.
    """
    prepared = Path(paths.prepared)
    table, new = assignment.assign(manifest.read(prepared / "pairs.parquet"), Path(paths.splits), splits)
    for name in SPLITS:
        shards.pack(prepared / "shards", name, table[table["split"] == name], Path(paths.raw), data)
    frozen = assignment.read(Path(paths.splits)) | dict(zip(table["group"], table["split"], strict=True))
    groups = pd.DataFrame(sorted(frozen.items()), columns=["group", "split"])  # also groups that are away at the moment
    files.write_text(prepared / "splits.csv", groups.to_csv(index=False))
    manifest.write(prepared / "manifest.parquet", table)
    print(
        "split: " + ", ".join(f"{name} {count}" for name, count in table["split"].value_counts()[list(SPLITS)].items())
    )
    if new:
        print(f"split: {len(new)} groups were not in {paths.splits}; freeze: cp {prepared}/splits.csv {paths.splits}")
