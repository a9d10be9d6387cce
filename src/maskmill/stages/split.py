"""split: give every pair its split, stop at leaks, and pack the decoded samples."""

from dataclasses import asdict
from pathlib import Path

from maskmill.curation import duplicates, expectations, leakage, manifest
from maskmill.curation.splits import assign_splits, read_frozen_splits, to_freeze
from maskmill.report import data_page
from maskmill.samples import packing
from maskmill.settings.config import SPLITS, Data, Paths, Splits
from maskmill.system import files


def split(paths: Paths, data: Data, splits: Splits) -> None:
    """Write the manifest, the splits, the shards and the reports of leakage and data.

    They are manifest.parquet, splits.csv and shards/ in data/prepared, reports/leakage.json and
    reports/data.html.

    Raises: MaskmillError when images of one split stand in another in any guise, or a split is
        empty; reports/problems.html then shows the leaks.
    """
    prepared, reports = Path(paths.prepared), Path(paths.reports)
    frozen = read_frozen_splits(Path(paths.splits))
    pairs, note = duplicates.read_duplicates(prepared / "duplicates.json")
    table, names = assign_splits(manifest.read(prepared / "pairs.parquet"), pairs, frozen, splits)
    leaks = leakage.find_leaks(table, pairs, splits)
    table["clean"] = leakage.mark_clean_rows(table, leaks)
    contents = data_page.DataPage(
        data,
        table,
        expectations.read_findings(reports / "validation.json"),
        manifest.pair_reader(table, data),
        leaks=leaks,
        note=note,
    )
    with data_page.show_problems(contents, reports):
        leakage.refuse_leaks(leaks, splits.given, frozen.path)
    packing.pack_samples(prepared / "shards", table, data, cache=Path(paths.state) / "verified")
    files.write_text(prepared / "splits.csv", to_freeze(names, frozen).to_csv(index=False))
    manifest.write(prepared / "manifest.parquet", table)
    files.write_json(reports / "leakage.json", [asdict(leak) for leak in leaks])
    files.write_text(reports / data_page.PAGE, data_page.render(contents))
    print("split: " + ", ".join(f"{name} {(table['split'] == name).sum()}" for name in SPLITS))
    if leaks:
        clean = ", ".join(
            f"{name} {(table['clean'] & (table['split'] == name)).sum()}" for name in SPLITS
        )
        print(
            f"split: {len(leaks)} leaks, allowed by splits.allow_leaks; clean of them are {clean};"
            " scores come twice"
        )
    if left_out := int((table["split"] == "").sum()):
        print(
            f"split: {left_out} images are left out, as neighbours of another split (splits.guard)"
        )
    if new := names.keys() - frozen.split_of.keys():
        print(
            f"split: {len(new)} groups were not in {frozen.path}; freeze: cp {prepared}/splits.csv"
            f" {frozen.path}"
        )
