"""split: give every pair its split, stop at leaks, and pack the decoded samples."""

import logging
import os
from dataclasses import asdict
from pathlib import Path

from maskmill.curation import duplicates, expectations, leakage, manifest
from maskmill.curation.frozen import Frozen, freeze_splits, read_frozen_splits
from maskmill.curation.split_warnings import warn_of_splits
from maskmill.curation.splits import Division, assign_splits, to_freeze
from maskmill.report import data_page
from maskmill.samples import packing
from maskmill.settings.config import SPLITS, Data, Paths, Splits
from maskmill.system import files

_log = logging.getLogger(__name__)


def split(paths: Paths, data: Data, splits: Splits) -> None:
    """Write what `write_division` does, then freeze the splits of new groups in data/splits.csv.

    That file is a dependency of this stage. DVC notes dependencies once a stage has ended, so that
    the next run finds it as this one has left it. Inside `dvc exp run` it stays as it is.

    Raises: MaskmillError as `write_division`, and where data/splits.csv was edited meanwhile.
    """
    frozen = read_frozen_splits(Path(paths.splits))
    division = write_division(paths, data, splits, frozen)
    new = division.frozen_names.keys() - frozen.split_of.keys()
    if new and "DVC_EXP_NAME" in os.environ:
        _log.info(
            f"split: {len(new)} groups are not in {frozen.path}; an experiment does not change it:"
            " `make pipeline` writes them there"
        )
    elif freeze_splits(frozen, division.frozen_names):
        _log.info(
            f"split: {len(new)} groups keep their split from now on: {frozen.path}; commit it"
        )


def write_division(paths: Paths, data: Data, splits: Splits, frozen: Frozen) -> Division:
    """Write the manifest, the splits, the shards and the reports of leakage and data.

    They are manifest.parquet, splits.csv and shards/ in data/prepared, reports/leakage.json and
    reports/data.html.

    Raises: MaskmillError when images of one split stand in another in any guise, or a split is
        empty; reports/problems.html then shows the leaks.
    """
    prepared, reports = Path(paths.prepared), Path(paths.reports)
    pairs, note = duplicates.read_duplicates(prepared / "duplicates.json")
    division = assign_splits(manifest.read(prepared / "pairs.parquet"), pairs, frozen, splits)
    table = division.table
    leaks = leakage.find_leaks(table, pairs, splits)
    table["clean"] = leakage.mark_clean_rows(table, leaks)
    warnings = warn_of_splits(table, data.classes, given=splits.given)
    contents = data_page.DataPage(
        data,
        table,
        expectations.read_findings(reports / "validation.json"),
        manifest.pair_reader(table, data),
        leaks=leaks,
        note=note,
        split_warnings=warnings,
    )
    with data_page.show_problems(contents, reports):
        leakage.refuse_leaks(leaks, splits.given, frozen.path)
    packing.pack_samples(prepared / "shards", table, data, cache=Path(paths.state) / "verified")
    named = to_freeze(division.names, frozen)
    files.write_text(prepared / "splits.csv", named.to_csv(index=False))
    manifest.write(prepared / "manifest.parquet", table)
    files.write_json(reports / "leakage.json", [asdict(leak) for leak in leaks])
    files.write_text(reports / data_page.PAGE, data_page.render(contents))
    _log.info("split: " + ", ".join(f"{name} {(table['split'] == name).sum()}" for name in SPLITS))
    if leaks:
        clean = ", ".join(
            f"{name} {(table['clean'] & (table['split'] == name)).sum()}" for name in SPLITS
        )
        _log.info(
            f"split: {len(leaks)} leaks, allowed by splits.allow_leaks; clean of them are {clean};"
            " scores come twice"
        )
    if left_out := int((table["split"] == "").sum()):
        _log.info(
            f"split: {left_out} images are left out, as neighbours of another split (splits.guard)"
        )
    for warning in warnings:
        _log.warning(f"split: warning: {warning}")
    return division
