"""split: give every pair its split, stop at leaks, and pack the decoded samples."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from maskmill import files
from maskmill.config import SPLITS, Data, Paths, Splits
from maskmill.data import duplicates, leakage, manifest, shards
from maskmill.data import splits as assignment
from maskmill.data.expectations import Finding
from maskmill.evaluation import data_page


def split(paths: Paths, data: Data, splits: Splits) -> None:
    """Write manifest.parquet, splits.csv and shards/ in data/prepared, reports/leakage.json and reports/data.html.

    Raises: MaskmillError when images of one split stand in another in any guise, or a split is empty;
    reports/problems.html then shows them.
    """
    prepared, reports = Path(paths.prepared), Path(paths.reports)
    found = files.read_json(reports / "validation.json")
    pairs = duplicates.read(prepared / "duplicates.csv")
    assigned = assignment.assign(
        manifest.read(prepared / "pairs.parquet"), pairs, Path(paths.splits), splits, data.classes
    )
    leaks = leakage.find(assigned.table, pairs, splits)
    table = assigned.table.assign(clean=leakage.clean(assigned.table, leaks))
    contents = data_page.Contents(
        data=data, table=table, findings=[Finding(**finding) for finding in found["findings"]], note=found["search"],
        pairs=pairs, leaks=leaks,
    )  # fmt: skip
    problems = reports / data_page.PROBLEMS
    if any(not leak.allowed for leak in leaks):
        files.write_text(problems, data_page.render(contents))
        leakage.stop(leaks, problems)
    problems.unlink(missing_ok=True)
    shards.pack(prepared / "shards", table, data)
    files.write_text(prepared / "splits.csv", assigned.groups.to_csv(index=False))
    manifest.write(prepared / "manifest.parquet", table)
    files.write_json(reports / "leakage.json", [asdict(leak) for leak in leaks])
    files.write_text(reports / "data.html", data_page.render(contents))
    print("split: " + ", ".join(f"{name} {(table['split'] == name).sum()}" for name in SPLITS) + _left_out(table))
    for line in assigned.notes:
        print(f"split: {line}")


def _left_out(table: pd.DataFrame) -> str:
    count = int((table["split"] == "").sum())
    return f", left out {count} (neighbours of another split)" if count else ""
