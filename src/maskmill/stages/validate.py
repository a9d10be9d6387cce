"""validate: describe every pair in a manifest, look for copies, and check all the expectations."""

import logging
from pathlib import Path

from maskmill import sources
from maskmill.curation import duplicates, expectations, manifest, own_expectations
from maskmill.report import data_page
from maskmill.settings.config import Data, Paths, Validation

_log = logging.getLogger(__name__)


def validate(paths: Paths, data: Data, validation: Validation) -> None:
    """Write data/prepared/pairs.parquet, data/prepared/duplicates.json and reports/validation.json.

    Raises: MaskmillError that names every file with a critical finding; reports/problems.html then
        shows them.
    """
    own_expectations.create(validation)  # a wrong one is said before all files are read
    prepared, reports = Path(paths.prepared), Path(paths.reports)
    table, thumbnails = manifest.build(
        sources.read_index(Path(paths.raw)), data, Path(paths.state) / "manifest"
    )
    search = duplicates.find_duplicates(
        table, thumbnails, lambda i: manifest.read_image(table.iloc[i], data), validation.search_s
    )
    findings = expectations.check_expectations(table, data, validation, search)
    contents = data_page.DataPage(
        data, table, findings, manifest.pair_reader(table, data), note=search.note
    )
    with data_page.show_problems(contents, reports):
        expectations.stop_on_critical(findings)
    manifest.write(prepared / "pairs.parquet", table)
    duplicates.write_duplicates(prepared / "duplicates.json", search)
    expectations.write_findings(reports / "validation.json", findings)
    passed = sum(finding.passed for finding in findings)
    _log.info(f"validate: {len(table)} pairs, {passed} of {len(findings)} expectations hold")
    if told := expectations.explain_findings(findings):
        _log.info(told)
    if search.note:
        _log.info(f"validate: search for copies: {search.note}")
